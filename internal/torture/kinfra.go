package main

import (
	"context"
	_ "embed" // of what is built in
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ktrdr/kinfra/internal/gotool"
)

const module = "github.com/ktrdr/kinfra"

// programVariable is the environment variable that names a program to be tried in place of
// the one that is shipped. It is one that buildInstrumented has built.
const programVariable = "KINFRA_TORTURE_PROGRAM"

// builds are the programs that were built so far. Its rows share them.
type builds struct {
	dir string

	mu           sync.Mutex // held while one is built
	shipped      string
	instrumented string // its directory
}

// buildKinfra builds the program that is shipped.
func (l *lab) buildKinfra(ctx context.Context) (program string, err error) {
	if name := os.Getenv(programVariable); name != "" {
		return name, nil
	}
	b := l.builds
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shipped != "" {
		return b.shipped, nil
	}
	program = filepath.Join(b.dir, "kinfra")
	if _, err = gotool.Run(ctx, "build", "-buildvcs=false", "-o", program, module+"/cmd/kinfra"); err == nil {
		b.shipped = program
	}
	return program, err
}

// buildInstrumented builds the program, or this one, with what lets it be killed at an event
// and with all seeded faults, of which the environment chooses one.
func (l *lab) buildInstrumented(ctx context.Context) (program string, err error) {
	if name := os.Getenv(programVariable); name != "" {
		return name, nil
	}
	dir, err := l.buildAllInstrumented(ctx)
	return filepath.Join(dir, "kinfra"), err
}

func (l *lab) buildAllInstrumented(ctx context.Context) (dir string, err error) {
	b := l.builds
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.instrumented != "" {
		return b.instrumented, nil
	}
	dir = filepath.Join(b.dir, "instrumented")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	overlay, err := overlayOf(ctx, dir, append(mutations(), killable))
	if err != nil {
		return "", err
	}
	_, err = gotool.Run(ctx, "build", "-buildvcs=false", "-overlay", overlay, "-o", dir+"/", module+"/cmd/kinfra", module+"/internal/torture", module+"/"+rollbackPackage)
	if err == nil {
		b.instrumented = dir
	}
	return dir, err
}

// mutation is a change to the source: a text that stands once in a file of it, and what
// stands there instead.
type mutation struct{ file, old, new string }

// killable has the program run in a world in which it can be killed.
var killable = mutation{"cmd/kinfra/app.go", "in.of(world.Real(holder))", "in.of(mortal(world.Real(holder)))"}

//go:embed testdata/mortal.go.txt
var mortalSource []byte

// seededSource is what tells mutations which fault is wanted.
const seededSource = `package %s

import "os"

func seeded(fault string) bool { return os.Getenv("` + faultVariable + `") == fault }
`

// faultVariable is the environment variable that has one of the seeded faults in it.
const faultVariable = "KINFRA_SEEDED_FAULT"

// overlayOf writes what go build is to read in place of files of the source, and beside them.
func overlayOf(ctx context.Context, dir string, all []mutation) (name string, err error) {
	root, err := gotool.Run(ctx, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", err
	}
	texts := map[string]string{filepath.Join(root, "cmd/kinfra/mortal.go"): string(mortalSource)}
	for _, m := range all {
		file := filepath.Join(root, m.file)
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
		texts[filepath.Join(filepath.Dir(file), "seeded_fault.go")] = fmt.Sprintf(seededSource, packageOf(m.file))
	}
	replace := map[string]string{}
	for file, text := range texts {
		replace[file] = filepath.Join(dir, fmt.Sprint(len(replace), "-", filepath.Base(file)))
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

// packageOf is the name of the package that a file of the source is in.
func packageOf(file string) string {
	if strings.HasPrefix(file, "cmd/") {
		return "main"
	}
	return path.Base(path.Dir(file))
}

// programEnv is the environment of the program for a user with a home.
func programEnv(home string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	if fault := os.Getenv(faultVariable); fault != "" {
		env = append(env, faultVariable+"="+fault)
	}
	return env
}
