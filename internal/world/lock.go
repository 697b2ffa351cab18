package world

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

// How long a process sleeps between two tries for a lock that somebody holds.
// The system can't be asked to wait: a blocked flock can't be cancelled.
const (
	lockPauseMin = time.Millisecond
	lockPauseMax = 25 * time.Millisecond
)

// holderLimit is how much of a lock file is read as the name of its holder.
const holderLimit = 200

// lock takes the lock on the file at p. It is an flock on an open file of its
// own, so it excludes goroutines as it does processes, and the system ends it
// with the process.
func lock(ctx context.Context, p place, d *realDisk) (unlock func(), err error) {
	pause := lockPauseMin
	for {
		if err := ctx.Err(); err != nil {
			return nil, &LockedError{Path: p.path, Holder: readHolder(p), Err: err}
		}
		unlock, err := lockOnce(p, d)
		if unlock != nil || err != nil {
			return unlock, err
		}
		sleepJittered(ctx, pause)
		pause = min(2*pause, lockPauseMax)
	}
}

// lockOnce takes the lock on the file at p, or returns nil if somebody has it.
func lockOnce(p place, d *realDisk) (unlock func(), err error) {
	file, err := tryLock(p)
	if file == nil || err != nil {
		return nil, p.fault(err)
	}
	d.handover.pass()
	writeHolder(file, d.holder)
	return sync.OnceFunc(func() {
		d.handover.pass()
		release(file)
	}), nil
}

// A handover tells the Go memory model what it can't see in a system call: that
// whoever gets a lock comes after the goroutine that has let it go, and sees all
// that it wrote.
type handover struct{ mu sync.Mutex }

func (h *handover) pass() {
	h.mu.Lock()
	defer h.mu.Unlock()
}

// tryLock returns the locked file, or nil if somebody else holds it.
func tryLock(p place) (*os.File, error) {
	file, err := openLockFile(p)
	if err != nil {
		return nil, err
	}
	locked, err := lockOpened(p, file)
	if err != nil || !locked {
		file.Close()
		return nil, err
	}
	return file, nil
}

// lockOpened locks the file that was opened at p, unless somebody has the lock or
// the file is no longer there. One that was removed meanwhile would be locked by
// us and seen by nobody: whoever comes next locks the one that is then at p.
func lockOpened(p place, file *os.File) (locked bool, err error) {
	locked, err = flock(file)
	if err != nil || !locked {
		return false, err
	}
	return isAt(p, file)
}

func openLockFile(p place) (*os.File, error) {
	// The holder's name is written into the file, so a link planted at its name
	// must not lead that anywhere.
	if info, err := p.Lstat(p.name); err == nil && !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	return p.OpenFile(p.name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
}

// flock takes the system's lock on an open file, unless somebody has it.
func flock(file *os.File) (locked bool, err error) {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}

// isAt tells whether file is the one at its name.
func isAt(p place, file *os.File) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := p.Lstat(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// sleepJittered sleeps for about d, so that those who wait for the same lock
// don't all come back at once.
func sleepJittered(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// writeHolder leaves word of who holds the lock. Nothing depends on it, so that
// it can't be written (the disk is full) is no reason not to go on.
func writeHolder(file *os.File, holder string) {
	if file.Truncate(0) == nil {
		file.WriteAt([]byte(holder+"\n"), 0)
	}
}

// release empties the file before it lets go: whoever gives up waiting for the
// next holder must not blame this one.
func release(file *os.File) {
	file.Truncate(0)
	file.Close()
}

// readHolder is what the lock's holder says of itself, or "".
func readHolder(p place) string {
	file, err := p.OpenFile(p.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	text := make([]byte, holderLimit)
	n, _ := file.ReadAt(text, 0)
	return cleanHolder(string(text[:n]))
}

// cleanHolder makes one printable line of limited length of what somebody said.
func cleanHolder(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), holderLimit)], ""))
	return strings.TrimSpace(text)
}
