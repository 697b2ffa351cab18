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
func Real(lockHolder string) World {
	return World{
		Disk:      &realDisk{holder: cleanHolder(lockHolder)},
		Processes: realProcesses{},
		Services:  realServices{},
		Clock:     realClock{},
		Env:       realEnvironment{},
	}
}

type realDisk struct {
	holder   string   // what this process writes into its lock files
	handover handover // of locks between goroutines
}

func (d *realDisk) Host() Files { return &realFiles{disk: d} }

func (d *realDisk) Root(dir string) Files { return &realFiles{disk: d, rooted: true, dir: dir} }

type realEnvironment struct{}

func (realEnvironment) Getenv(name string) (string, bool) { return os.LookupEnv(name) }
func (realEnvironment) Environ() []string                 { return os.Environ() }
func (realEnvironment) WorkDir() (string, error)          { return os.Getwd() }
func (realEnvironment) Executable() (string, error)       { return os.Executable() }
func (realEnvironment) UserID() int                       { return userID() }
func (realEnvironment) Hostname() string                  { name, _ := os.Hostname(); return name }

// Random never fails: crypto/rand ends the program where the system has no
// randomness.
func (realEnvironment) Random(b []byte) { rand.Read(b) }

// userID is who this process is, which nothing in it changes. A planned world asks at each
// file whether the user may have it.
var userID = sync.OnceValue(os.Geteuid)

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) BootTime() (boot string, up time.Duration, err error) {
	if boot, err = bootID(); err != nil {
		return "", 0, fmt.Errorf("asking the system for its boot: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(bootClock, &t); err != nil {
		return "", 0, fmt.Errorf("asking the system for the time since its boot: %w", err)
	}
	return boot, time.Duration(t.Nano()), nil
}

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
