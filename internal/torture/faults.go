package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// fault is a mistake that kinfra could have been built with.
type fault struct {
	files   func(files world.Files, dir string, c child) world.Files // what becomes of the files below dir; nil for nothing
	claimer func(pool) claimer                                       // in place of kinfra's claims; nil for these
}

// The seeded faults that show under processes that claim and are killed.
const (
	faultNoLock       = "no lock"
	faultLockReplaced = "lock on the file that is replaced"
	faultOutside      = "decision outside the lock"
	faultPID          = "a lock by process number, which is reused"
	faultPIDRace      = "a lock by process number, taken from the dead without a lock"
	faultInPlace      = "the registry is written in place"
)

func faults() map[string]fault {
	return map[string]fault{
		faultNoLock:       {files: func(f world.Files, _ string, _ child) world.Files { return unlocked(f) }},
		faultLockReplaced: {files: func(f world.Files, dir string, _ child) world.Files { return lockedByRegistry(f, dir) }},
		faultOutside:      {claimer: func(p pool) claimer { return hasty{p} }},
		faultPID: {files: func(f world.Files, dir string, c child) world.Files {
			return lockedByNumber{f, dir, c.Number + 1, alwaysAlive}.all()
		}},
		faultPIDRace: {files: func(f world.Files, dir string, _ child) world.Files {
			return lockedByNumber{f, dir, os.Getpid(), alive}.all()
		}},
		faultInPlace: {files: func(f world.Files, dir string, _ child) world.Files { return inPlace(f, dir) }},
	}
}

// of is a world with the fault in it.
func (f fault) of(w world.World, c child) world.World {
	if f.files != nil {
		w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, dir string) world.Files { return f.files(files, dir, c) }}
	}
	return w
}

// unlocked gives locks to everybody.
func unlocked(files world.Files) world.Files {
	return worldtest.Files{
		Files:     files,
		OnLock:    func(context.Context, string) (func(), error) { return func() {}, nil },
		OnTryLock: func(string) (func(), error) { return func() {}, nil },
	}
}

// lockedByRegistry locks the registry itself in place of a file that stays: who waits
// for the old file gets it beside who has locked the new one.
func lockedByRegistry(files world.Files, dir string) world.Files {
	return worldtest.Files{Files: files, OnLock: func(ctx context.Context, name string) (func(), error) {
		if name != registry.LockFile {
			return files.Lock(ctx, name)
		}
		file, err := os.Open(filepath.Join(dir, registry.File))
		if err != nil {
			return nil, err
		}
		err = poll(ctx, func() (bool, error) {
			err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			file.Close()
			return nil, err
		}
		return sync.OnceFunc(func() { file.Close() }), nil
	}}
}

// poll asks until the answer is true.
func poll(ctx context.Context, ask func() (bool, error)) error {
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("waiting for the lock: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// lockedByNumber has a lock file that is there while somebody holds the lock, with the
// number of the holder's process in it. Where that process isn't alive the file is
// removed: not at one with making the next.
type lockedByNumber struct {
	files  world.Files
	dir    string
	number int
	alive  func(number int) bool
}

// alwaysAlive is how a process number looks that has been given to another process. The
// number here is that of the worker, which the process that takes its place gets, too:
// so a reuse needs no four million processes.
func alwaysAlive(int) bool { return true }

func alive(number int) bool { return !errors.Is(syscall.Kill(number, 0), syscall.ESRCH) }

// all is the files with that lock.
func (f lockedByNumber) all() world.Files {
	return worldtest.Files{Files: f.files, OnLock: f.lock}
}

func (f lockedByNumber) lock(ctx context.Context, name string) (func(), error) {
	if name != registry.LockFile {
		return f.files.Lock(ctx, name)
	}
	path := filepath.Join(f.dir, name+".pid")
	err := poll(ctx, func() (bool, error) {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = fmt.Fprint(file, f.number)
			return true, errors.Join(err, file.Close())
		}
		var holder int
		if text, err := os.ReadFile(path); err == nil {
			if _, err := fmt.Sscan(string(text), &holder); err == nil && !f.alive(holder) {
				_, _ = f.files.Lstat(name) // so that the delays of the world come in between
				return false, os.Remove(path)
			}
		}
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		return false, err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return sync.OnceFunc(func() { os.Remove(path) }), nil
}

// inPlace writes the registry into the file that is there, in two parts.
func inPlace(files world.Files, dir string) world.Files {
	return worldtest.Files{Files: files, OnRename: func(oldName, newName string) error {
		if newName != registry.File {
			return files.Rename(oldName, newName)
		}
		data, err := files.ReadFile(oldName, registry.MaxSize)
		if err == nil {
			err = writeInParts(filepath.Join(dir, newName), data, 0)
		}
		return errors.Join(err, files.Remove(oldName))
	}}
}

// writeInParts truncates a file and writes it in two parts, as a program does whose
// buffer is smaller than what it writes.
func writeInParts(path string, data []byte, pause time.Duration) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data[:len(data)/2])
	time.Sleep(pause)
	if err == nil {
		_, err = file.Write(data[len(data)/2:])
	}
	return errors.Join(err, file.Close())
}

// hasty decides which slot to take before it has the lock.
type hasty struct{ pool }

func (p hasty) claim(ctx context.Context, tree int, least string) answer {
	reg, err := p.store.Load(ctx)
	if err != nil {
		return answer{Outcome: failed, Error: err.Error()}
	}
	for _, s := range reg.Slots() {
		if s.ClaimedBy == p.tree(tree) {
			if s.Profile != least && least != profiles[0] {
				return answer{Outcome: tooLight}
			}
			return answer{Outcome: done, Slot: s.ID, Token: s.ClaimedAt, Renewed: true}
		}
	}
	id, ok, err := slot.Available(reg, profiles[:], least)
	if err != nil || !ok {
		return answer{Outcome: noneFree}
	}
	var token bytes.Buffer
	fmt.Fprint(&token, upTime(), " ", os.Getpid())
	err = p.change(ctx, id, func(s *registry.Slot) { s.ClaimedBy, s.ClaimedAt = p.tree(tree), token.String() })
	if err != nil {
		return answer{Outcome: failed, Error: err.Error()}
	}
	return answer{Outcome: done, Slot: id, Token: token.String()}
}

func (p hasty) release(ctx context.Context, id int, token string) answer {
	out := answer{Outcome: notHolder}
	err := p.change(ctx, id, func(s *registry.Slot) {
		if s.ClaimedAt == token {
			s.ClaimedBy, s.ClaimedAt, out.Outcome = "", "", done
		}
	})
	if err != nil {
		return answer{Outcome: failed, Error: err.Error()}
	}
	return out
}

func (p hasty) change(ctx context.Context, id int, edit func(*registry.Slot)) error {
	return p.store.Update(ctx, func(r *registry.Registry) error {
		s, _ := r.Slot(id)
		edit(&s)
		return r.PutSlot(s)
	})
}

func (p hasty) list(ctx context.Context) answer { return poolClaimer(p).list(ctx) }
