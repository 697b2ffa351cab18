package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// tmpfsSize is how large the full disk is.
const tmpfsSize = "64k"

// tryFull does each deed on a real file system with less and less room, and on one that
// is read-only.
func tryFull(ctx context.Context, l *lab) (finding, error) {
	var f finding
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return f, notRunError("mounting a tmpfs takes Linux and root")
	}
	refused, rooms := 0, 0
	for _, d := range deeds() {
		n, failures, err := l.tryRooms(ctx, &f, d)
		if err != nil {
			return f, err
		}
		rooms, refused = rooms+n, refused+failures
		if failures == 0 {
			f.wrong("%s: there was room for it on a full disk", d.name)
		}
		if err := l.tryReadOnly(ctx, &f, d); err != nil {
			return f, err
		}
	}
	f.figures = fmt.Sprintf("%d deeds on a tmpfs of %s with 0 pages of room and more, %d refused; %d on a read-only one",
		rooms, tmpfsSize, refused, len(deeds()))
	return f, nil
}

// tryRooms does a deed with no room at all, with one page, and so on until it succeeds.
func (l *lab) tryRooms(ctx context.Context, f *finding, d deed) (rooms, refused int, err error) {
	for pages := 0; ; pages++ {
		succeeded, err := l.tryRoom(ctx, f, d, pages)
		if err != nil {
			return pages, refused, fmt.Errorf("%s with %d pages of room: %w", d.name, pages, err)
		}
		if succeeded {
			return pages + 1, refused, nil
		}
		refused++
	}
}

// tryRoom tells whether a deed succeeds with so much room.
func (l *lab) tryRoom(ctx context.Context, f *finding, d deed, pages int) (succeeded bool, err error) {
	dir, unmount, err := l.mountTmpfs(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	t := syscallTrial{deed: d, fault: syscall.ENOSPC, dir: l.dir}
	p, err := t.startKnown(ctx, l, dir)
	if err != nil {
		return false, err
	}
	filler := filepath.Join(dir, "filler")
	if err := fill(filler, pages); err != nil {
		return false, err
	}
	deedErr := d.do(ctx, p)
	got, err := p.condition(ctx)
	if err != nil || got != t.before && got != t.after {
		f.wrong("%s with %d pages of room: the pool is %s, %v", d.name, pages, got, err)
		return true, nil
	}
	if err := os.Remove(filler); err != nil {
		return false, err
	}
	problem, err := t.judge(ctx, p, deedErr)
	if problem != "" {
		f.wrong("%s with %d pages of room: %s", d.name, pages, problem)
	}
	return deedErr == nil, err
}

// startKnown makes the pool of a trial in dir, having learned elsewhere what becomes of it.
func (t *syscallTrial) startKnown(ctx context.Context, l *lab, dir string) (pool, error) {
	var err error
	if t.dir, err = l.newDir("known"); err != nil {
		return pool{}, err
	}
	if err := t.learn(ctx); err != nil {
		return pool{}, err
	}
	return t.start(ctx, dir)
}

// tryReadOnly does a deed where nothing can be written: it is refused, and what is there
// can be read as before.
func (l *lab) tryReadOnly(ctx context.Context, f *finding, d deed) (err error) {
	dir, unmount, err := l.mountTmpfs(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	t := syscallTrial{deed: d, fault: syscall.EROFS}
	p, err := t.startKnown(ctx, l, dir)
	if err != nil {
		return err
	}
	if err := mount(ctx, "-o", "remount,ro", dir); err != nil {
		return err
	}
	if err := d.do(ctx, p); !errors.Is(err, syscall.EROFS) {
		f.wrong("%s on a read-only disk: got %v, want %v", d.name, err, syscall.EROFS)
	}
	if got, err := p.condition(ctx); err != nil || got != t.before {
		f.wrong("%s on a read-only disk: the pool is %s, %v", d.name, got, err)
	}
	return nil
}

// mountTmpfs mounts a small file system in memory, which is where a disk can be filled
// without harm to others.
func (l *lab) mountTmpfs(ctx context.Context) (dir string, unmount func() error, err error) {
	if dir, err = l.newDir("tmpfs"); err != nil {
		return "", nil, err
	}
	if err := mount(ctx, "-t", "tmpfs", "-o", "size="+tmpfsSize+",mode=700", "tmpfs", dir); err != nil {
		return "", nil, notRunError(err.Error())
	}
	return dir, func() error { return exec.Command("umount", "-l", dir).Run() }, nil
}

func mount(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "mount", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// fill fills a file system up, but for so many pages.
func fill(name string, pages int) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	page := make([]byte, os.Getpagesize())
	size := int64(0)
	for err == nil {
		var n int
		n, err = file.Write(page)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, file.Close())
	}
	err = file.Truncate(max(0, size-int64(pages*len(page))))
	return errors.Join(err, file.Close())
}
