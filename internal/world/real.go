package world

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Real is this machine. What lockHolder says of this process ("pid 4711: kinfra
// sandbox claim") is written into the lock files that it holds. Nothing is
// opened or read before it is asked for.
func Real(lockHolder string) World { return &realWorld{holder: cleanHolder(lockHolder)} }

type realWorld struct {
	holder   string   // what this process writes into its lock files
	handover handover // of locks between goroutines
}

func (w *realWorld) Host() Files { return &realFiles{world: w} }

func (w *realWorld) Root(dir string) Files { return &realFiles{world: w, rooted: true, dir: dir} }

func (w *realWorld) Run(ctx context.Context, cmd Command) (Output, error) { return run(ctx, cmd) }

func (w *realWorld) Getenv(name string) (string, bool) { return os.LookupEnv(name) }
func (w *realWorld) Environ() []string                 { return os.Environ() }
func (w *realWorld) WorkDir() (string, error)          { return os.Getwd() }
func (w *realWorld) Executable() (string, error)       { return os.Executable() }
func (w *realWorld) UserID() int                       { return userID() }
func (w *realWorld) Now() time.Time                    { return time.Now() }
func (w *realWorld) Planned() bool                     { return false }

// userID is who this process is, which nothing in it changes. A planned world asks at each
// file whether the user may have it.
var userID = sync.OnceValue(os.Geteuid)

func (w *realWorld) BootTime() (boot string, up time.Duration, err error) {
	if boot, err = bootID(); err != nil {
		return "", 0, fmt.Errorf("asking the system for its boot: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(bootClock, &t); err != nil {
		return "", 0, fmt.Errorf("asking the system for the time since its boot: %w", err)
	}
	return boot, time.Duration(t.Nano()), nil
}

func (w *realWorld) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Random never fails: crypto/rand ends the program where the system has no
// randomness.
func (w *realWorld) Random(b []byte) { rand.Read(b) }
