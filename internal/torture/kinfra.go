package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/gotool"
)

// mutation is a fault in the source of kinfra: a text that stands once in a file of it,
// and what stands there instead.
type mutation struct{ file, old, new string }

// The faults of a record of runs. The program that is shipped has no switch for them, so
// they are built in here.
var recordMutations = map[string][]mutation{
	"acknowledged before it is recorded": {{
		"engine/journal/journal.go",
		"_, j.failed = j.file.Write(line[len(hash):])",
		"if j.held = append(j.held, line[len(hash):]...); e.Type != event.Ended { _, j.failed = j.file.Write(j.held); j.held = nil }",
	}, {
		"engine/journal/journal.go", "written atomic.Int64 // lines", "written atomic.Int64\n\theld []byte",
	}},
	"kept in a buffer": {{
		"engine/journal/journal.go",
		"_, j.failed = j.file.Write(line[len(hash):])",
		"if j.held = append(j.held, line[len(hash):]...); len(j.held) > 2048 || e.Type == event.RunEnded { _, j.failed = j.file.Write(j.held); j.held = nil }",
	}, {
		"engine/journal/journal.go", "written atomic.Int64 // lines", "written atomic.Int64\n\theld []byte",
	}},
}

// buildKinfra builds the program that is shipped, or with a fault in it.
func (l *lab) buildKinfra(ctx context.Context, faults []mutation) (program string, err error) {
	dir, err := l.newDir("build")
	if err != nil {
		return "", err
	}
	overlay, err := overlayOf(ctx, dir, faults)
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "kinfra")
	_, err = gotool.Run(ctx, "build", "-buildvcs=false", "-overlay", overlay, "-o", program, "github.com/ktrdr/kinfra/cmd/kinfra")
	return program, err
}

// overlayOf writes what go build is to read in place of files of the source.
func overlayOf(ctx context.Context, dir string, faults []mutation) (name string, err error) {
	module, err := gotool.Run(ctx, "list", "-m", "-f", "{{.Dir}}", "github.com/ktrdr/kinfra")
	if err != nil {
		return "", err
	}
	texts := map[string]string{}
	for _, m := range faults {
		file := filepath.Join(module, m.file)
		if _, read := texts[file]; !read {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			texts[file] = string(data)
		}
		if n := strings.Count(texts[file], m.old); n != 1 {
			return "", fmt.Errorf("%s has %d times the text %q, that a fault is to stand for", m.file, n, m.old)
		}
		texts[file] = strings.Replace(texts[file], m.old, m.new, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		replace[file] = filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name = filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, data, 0o600)
}

// programEnv is the environment of the program for a user with a home.
func programEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
}
