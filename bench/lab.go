package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/gotool"
)

// lab is a temporary directory with the programs that are compared, and the clean
// environment that they run in.
type lab struct {
	dir      string
	env      []string
	kinfra   string
	empty    string // prints one word
	starlark string // the interpreter's own command
	resident string // runs a program and tells its memory
	out      string // the directory of the files that programs print into
	weighs   bool   // programs are run by resident
	source   string // the directory of the scripts that are run
}

// newLab builds the programs in dir.
func newLab(ctx context.Context, dir string) (*lab, error) {
	module, err := gotool.Run(ctx, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	l := &lab{
		dir: dir,
		out: dir,
		env: []string{
			"PATH=" + os.Getenv("PATH"),
			"HOME=" + filepath.Join(dir, "home"),
			"TMPDIR=" + dir, // the roots of e2e stand on the same disk as the others
			"DOCKER_HOST=unix://" + filepath.Join(dir, "no-docker.sock"),
		},
		kinfra:   filepath.Join(dir, "kinfra"),
		empty:    filepath.Join(dir, "empty"),
		starlark: filepath.Join(dir, "starlark"),
		resident: filepath.Join(dir, "resident"),
		source:   filepath.Join(module, "bench", "testdata"),
	}
	if err := os.Mkdir(filepath.Join(dir, "home"), 0o700); err != nil {
		return nil, err
	}
	for program, source := range map[string]string{
		l.kinfra:   "github.com/ktrdr/kinfra/cmd/kinfra",
		l.empty:    "github.com/ktrdr/kinfra/bench/empty",
		l.resident: "github.com/ktrdr/kinfra/bench/resident",
		l.starlark: "go.starlark.net/cmd/starlark", // pinned by go.mod, as a tool
	} {
		if err := install(ctx, program, source); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// install builds a program as `make build` does, a static binary, and copies it. A file
// that the linker has just written lies in the page cache in small pieces, from which
// the pages of each process are mapped one by one; one that was copied, or read anew
// after a start of the machine, lies there in large ones.
func install(ctx context.Context, program, source string) error {
	linked := program + ".linked"
	if _, err := gotool.Run(ctx, "build", "-trimpath", "-buildvcs=false", "-o", linked, source); err != nil {
		return err
	}
	return errors.Join(copyProgram(linked, program), os.Remove(linked))
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close()) // nothing is left to be written while others run
}
