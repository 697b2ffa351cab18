package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/visible"
)

// stream is stdout or stderr, and the one place where text leaves kinfra: a part of it may
// come from anybody who can write a registry, name a container or log a line. So whatever
// a reader wouldn't see is shown as what it is ([visible.Text]), on a terminal, in a pipe
// and in a file. The only escape codes that come out are those for colours that were
// painted with the ink of the stream, and those by which a terminal is drawn on.
type stream struct {
	out      io.Writer
	file     *os.File // that out is; nil in tests of scripts, where it is in memory
	blocks   bool     // a write waits for whoever reads: the file is no regular one
	terminal bool
	ink      visible.Ink // of all text that is printed; blank until somebody wants colours
	colors   bool        // what is painted is shown in colour

	mu      sync.Mutex // guards the rest, and is held while something is written
	failure error      // the first one of a write
	unread  error      // nil until a write was given up, since nobody read

	patient context.Context // ends when the command is to end
	hurry   context.CancelCauseFunc

	masks      *mask.Set // the values that must not show
	structured bool      // what is written is JSON, in which whoever makes it has masked them
}

// newStream writes to a copy of the file, by another number: where nobody reads any more,
// that is an error, which a run survives, and not the end of the process.
func newStream(file *os.File) *stream {
	if fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3); err == nil {
		file = os.NewFile(uintptr(fd), file.Name())
	}
	info, err := file.Stat()
	s := &stream{out: file, file: file, blocks: err != nil || !info.Mode().IsRegular(), terminal: isatty.IsTerminal(file.Fd())}
	s.patient, s.hurry = context.WithCancelCause(context.Background())
	return s
}

// inMemory is a stream for what is printed where no file is.
func inMemory(out io.Writer) *stream { return &stream{out: out} }

// Write prints whole characters.
func (s *stream) Write(p []byte) (int, error) { return s.WriteString(string(p)) }

// WriteString is Write of a string. Values that must not show are mostly masked before they
// come here; what comes from elsewhere is masked here.
func (s *stream) WriteString(text string) (int, error) {
	shown := text
	if !s.structured {
		shown = s.masks.Text(text)
	}
	if err := s.exactly(s.ink.Text(shown, s.colors)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// exactly writes what was made to be read by another program, byte by byte.
func (s *stream) exactly(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(text)
	if err != nil && s.failure == nil {
		s.failure = err
	}
	return err
}

// unreadFor is how long a write may still wait for whoever reads when the command is to end.
const unreadFor = time.Second

// write waits for whoever reads, as a pager may let it for hours: until the command is to end.
// Then what isn't read is given up, with all that comes after it, so that the command can end.
// Nothing ends a write that waits, so another goroutine makes it. s.mu must be held.
func (s *stream) write(text string) error {
	switch {
	case s.unread != nil:
		return s.unread
	case !s.blocks:
		_, err := io.WriteString(s.out, text)
		return err
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.out, text)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-s.patient.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(unreadFor):
		s.unread = fmt.Errorf("nobody reads it: %w", context.Cause(s.patient))
		return s.unread
	}
}

// source prints the text of a file for whoever reads it on: exactly, but for a terminal,
// which would obey what is in it.
func (s *stream) source(data []byte) {
	if s.terminal {
		s.Write(data)
		return
	}
	_ = s.exactly(string(data)) // what keeps it from being written, the stream knows
}

// paint gives both streams the ink by which they know the colours of one of them: what is
// painted for one may be printed by the other, as in an error that quotes it.
func (a *app) paint(out *stream) visible.Ink {
	out.colors = a.globals.wantsColor(out)
	if !out.colors {
		return visible.Ink{}
	}
	if out.ink.Blank() {
		ink := visible.NewInk(a.real.Env.Random)
		a.stdout.ink, a.stderr.ink = ink, ink
	}
	return out.ink
}

// nobodyReads is the exit code of a process that SIGPIPE ends, as shells have it.
const nobodyReads = 128 + int(syscall.SIGPIPE)

// unwritten is why what the command has printed didn't arrive: the command's error err,
// unless it has another one; nil if all did.
func (s *stream) unwritten(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failure == nil || err != nil && !errors.Is(err, s.failure):
		return nil
	case errors.Is(s.failure, syscall.EPIPE):
		return &engine.ExitError{Exit: nobodyReads}
	}
	cause := s.failure
	if p, ok := errors.AsType[*os.PathError](cause); ok {
		cause = p.Err
	}
	return fmt.Errorf("writing to stdout: %w", cause)
}
