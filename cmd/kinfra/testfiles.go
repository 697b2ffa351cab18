package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/suite"
)

// testFiles is what lies below the paths of kinfra test.
type testFiles struct {
	tests   []layer.File
	scripts []string // the paths of the others, in directories that were named
}

func isTestFile(name string) bool { return strings.HasSuffix(name, suite.Ending) }

// findTestFiles finds the tests below paths, each once, in the order of the paths; below
// the working directory and the project's scripts where there are none.
func (a *app) findTestFiles(layers *layer.Stack, paths []string) (testFiles, error) {
	if len(paths) == 0 {
		paths = []string{"."}
		for _, l := range layers.Layers {
			if l.Name == "project" {
				paths = append(paths, l.Dir)
			}
		}
	}
	var found testFiles
	seen := map[string]bool{}
	for _, path := range paths {
		full, err := absolute(a.real, path)
		if err != nil {
			return found, err
		}
		below, err := a.starFiles(full)
		if err != nil {
			if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == full {
				err = p.Err
			}
			return found, engine.UsageError("kinfra test wants files *"+suite.Ending+", or directories with such files", "looking for tests in %s: %v", path, err)
		}
		for _, name := range below {
			if seen[name] {
				continue
			}
			seen[name] = true
			if !isTestFile(name) {
				found.scripts = append(found.scripts, name)
				continue
			}
			file, err := a.fileAt(layers, name)
			if err != nil {
				return found, err
			}
			found.tests = append(found.tests, file)
		}
	}
	if len(found.tests) == 0 {
		return found, engine.UsageError("a test is a function test_* in a file *"+suite.Ending, "there are no tests in %s", strings.Join(paths, ", "))
	}
	return found, nil
}

// starFiles is the file with tests at a path, or the scripts below it, sorted.
func (a *app) starFiles(path string) ([]string, error) {
	if isTestFile(path) {
		_, err := a.real.Disk.Host().Lstat(path)
		return []string{path}, err
	}
	info, err := a.real.Disk.Root(path).Lstat(".") // through a link, if the path is one
	switch {
	case errors.Is(err, syscall.ENOTDIR), err == nil && !info.Mode.IsDir():
		return nil, fmt.Errorf("the name of a file with tests ends in %s", suite.Ending)
	case err != nil:
		return nil, err
	}
	return a.starFilesBelow(path)
}

// starFilesBelow leaves out directories whose name begins with a dot, but for a
// project's scripts, and what package managers fetch.
func (a *app) starFilesBelow(dir string) ([]string, error) {
	entries, err := a.real.Disk.Host().ReadDir(dir)
	var all []string
	for _, e := range entries {
		below := filepath.Join(dir, e.Name)
		switch hidden := strings.HasPrefix(e.Name, ".") && e.Name != projectDir; {
		case e.Mode.IsDir() && !hidden && e.Name != "node_modules":
			more, err := a.starFilesBelow(below)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		case e.Mode.IsRegular() && filepath.Ext(e.Name) == ".star":
			all = append(all, below)
		}
	}
	slices.Sort(all)
	return all, err
}
