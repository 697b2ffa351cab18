package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
)

// stream is stdout or stderr. On a terminal it lets no escape codes through but those
// for colours: what is printed may come from anybody who can write a registry, name a
// container or log a line.
type stream struct {
	file     *os.File
	terminal bool
	failure  error // the first one of a write
}

// newStream writes to a copy of the file, by another number: where nobody reads any more,
// that is an error, which a run survives, and not the end of the process.
func newStream(file *os.File) *stream {
	if fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3); err == nil {
		file = os.NewFile(uintptr(fd), file.Name())
	}
	return &stream{file: file, terminal: isatty.IsTerminal(file.Fd())}
}

// Write prints whole characters.
func (s *stream) Write(p []byte) (int, error) { return s.WriteString(string(p)) }

// WriteString is Write of a string.
func (s *stream) WriteString(text string) (int, error) {
	shown := text
	if s.terminal {
		shown = onTerminal(text)
	}
	if _, err := s.file.WriteString(shown); err != nil {
		if s.failure == nil {
			s.failure = err
		}
		return 0, err
	}
	return len(text), nil
}

// onTerminal is a text without what rewrites or hides a part of a terminal.
func onTerminal(text string) string {
	if !strings.Contains(text, "\x1b") {
		return diag.Printable(text)
	}
	colors := regexp.MustCompile("\x1b\\[[0-9;]*m")
	var out strings.Builder
	for {
		at := colors.FindStringIndex(text)
		if at == nil {
			out.WriteString(diag.Printable(text))
			return out.String()
		}
		out.WriteString(diag.Printable(text[:at[0]]))
		out.WriteString(text[at[0]:at[1]])
		text = text[at[1]:]
	}
}

// nobodyReads is the exit code of a process that SIGPIPE ends, as shells have it.
const nobodyReads = 128 + int(syscall.SIGPIPE)

// unwritten is why what the command has printed didn't arrive: the command's error err,
// unless it has another one; nil if all did.
func (s *stream) unwritten(err error) error {
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
