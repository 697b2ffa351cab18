package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
)

const scriptSuffix = ".star"

// authoringLayers is the layers as those who write scripts need them: a project's
// scripts are there whether they are trusted or not, since none of them is run, or only in
// a test, where they reach nothing outside of its memory.
func (a *app) authoringLayers() (*layer.Stack, error) {
	if _, untrusted := errors.AsType[*layer.UntrustedError](a.layersErr); !untrusted {
		return a.layers, a.layersErr
	}
	project, err := findProject(a.real, ".")
	if err != nil {
		return nil, err
	}
	at := 0
	if a.globals.scripts != "" {
		at = 1 // behind the layer that was given
	}
	return &layer.Stack{Layers: slices.Insert(slices.Clone(a.layers.Layers), at, project.Layer()), Builtin: a.layers.Builtin}, nil
}

// ownScripts is the scripts of the layers outside of the binary.
func ownScripts(layers *layer.Stack) ([]layer.File, error) {
	var all []layer.File
	for _, l := range layers.Layers {
		if l == layers.Builtin {
			continue
		}
		files, err := scriptsOf(l)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// scriptsOf is all scripts of a layer.
func scriptsOf(l *layer.Layer) ([]layer.File, error) {
	names, err := l.List()
	if err != nil {
		return nil, err
	}
	var all []layer.File
	for _, name := range names {
		if path.Ext(name) != scriptSuffix {
			continue
		}
		file, err := l.Read(name)
		if err != nil {
			return nil, err
		}
		all = append(all, file)
	}
	return all, nil
}

// namedScripts is the files that arguments name, each once: a directory stands for all
// scripts below it.
func (a *app) namedScripts(layers *layer.Stack, names []string) ([]layer.File, error) {
	var all []layer.File
	seen := map[string]bool{}
	for _, name := range names {
		at, err := absolute(a.real, name)
		if err != nil {
			return nil, err
		}
		paths, err := a.scriptsBelow(at)
		if err != nil {
			e := engine.UsageError("", "%s: %v", name, reason(err))
			if errors.Is(err, fs.ErrNotExist) {
				e = engine.UsageError("name a script, or a directory with scripts below it", "there is no %s", name)
			}
			return nil, e
		}
		for _, p := range paths {
			file, err := a.fileAt(layers, p)
			if err != nil {
				return nil, &engine.Error{Code: engine.Usage, Message: "reading the script: " + err.Error(), Err: err}
			}
			if !seen[file.Path()] {
				seen[file.Path()] = true
				all = append(all, file)
			}
		}
	}
	return all, nil
}

// reason is what is wrong with a path, without the path.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// scriptsBelow is a file, or the scripts below a directory, in their order.
func (a *app) scriptsBelow(at string) ([]string, error) {
	info, err := a.real.Disk.Root(at).Lstat(".") // through a link, if the path is one
	if err != nil || !info.Mode.IsDir() {
		if _, fileErr := a.real.Disk.Host().Lstat(at); fileErr != nil {
			return nil, fileErr
		}
		return []string{at}, nil
	}
	entries, err := a.real.Disk.Host().ReadDir(at)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		below := filepath.Join(at, e.Name)
		switch {
		case e.Mode.IsDir() && e.Name != ".git":
			deeper, err := a.scriptsBelow(below)
			if err != nil {
				return nil, err
			}
			all = append(all, deeper...)
		case e.Mode.IsRegular() && filepath.Ext(e.Name) == scriptSuffix:
			all = append(all, below)
		}
	}
	return all, nil
}

// fileAt is a file as a file of the layer that it is in. One that is in none is, as when
// it is run, in one that is just its directory.
func (a *app) fileAt(layers *layer.Stack, at string) (layer.File, error) {
	for _, l := range layers.Layers {
		if l.Dir == "" {
			continue
		}
		if rel, err := filepath.Rel(l.Dir, at); err == nil && filepath.IsLocal(rel) {
			return l.Read(filepath.ToSlash(rel))
		}
	}
	return layer.Directory(a.real, "file", filepath.Dir(at)).Read(filepath.Base(at))
}

// completeScripts offers scripts, and the directories that lead to them.
func completeScripts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{strings.TrimPrefix(scriptSuffix, ".")}, cobra.ShellCompDirectiveFilterFileExt
}

// number is a count with its noun: "1 file", "2 files".
func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
