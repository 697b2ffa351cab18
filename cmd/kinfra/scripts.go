package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/internal/world"
)

func (a *app) scriptsCommand() *cobra.Command {
	group := &cobra.Command{Use: "scripts", Args: cobra.ArbitraryArgs, RunE: a.group}
	add := func(c *cobra.Command, run func(*cobra.Command, []string) error) *cobra.Command {
		c.PreRunE, c.RunE = a.needsLayers, run
		group.AddCommand(c)
		return c
	}
	add(&cobra.Command{
		Use: "list", Short: "List the scripts and templates, and the layer that each comes from", Args: exactly(0, "no arguments"),
	}, func(*cobra.Command, []string) error { return a.listScripts() })
	var raw bool
	show := add(&cobra.Command{
		Use: "show NAME", ValidArgsFunction: a.completeScript, Short: "Print a script as it is used here",
		Long: `Print a script as it is used here.

Characters in it that a reader doesn't see are shown as what they are, such as \u202e.
With --raw each byte is as it is, for a file or another program.`,
		Args: exactly(1, "a name, such as pool.star"),
	}, func(_ *cobra.Command, args []string) error { return a.showScript(args[0], raw) })
	show.Flags().BoolVar(&raw, "raw", false, "print each byte as it is; not to a terminal")
	add(&cobra.Command{
		Use: "diff NAME", ValidArgsFunction: a.completeScript, Short: "Show how a script differs from the one inside the binary", Args: exactly(1, "a name, such as pool.star"),
	}, func(_ *cobra.Command, args []string) error { return a.diffScript(args[0]) })

	var to string
	eject := add(&cobra.Command{
		Use:   "eject NAME",
		Short: "Copy a script out of the binary, to be changed",
		Long: `Copy a script out of the binary, to be changed.

It goes into your own scripts ($XDG_CONFIG_HOME/kinfra/scripts), and from then on is
used in place of the one inside the binary. With --scripts DIR it goes there, with
--to DIR into any directory, such as a project's .kinfra/.`,
		Args: exactly(1, "a name, such as pool.star"), ValidArgsFunction: a.completeScript,
	}, func(_ *cobra.Command, args []string) error { return a.ejectScript(args[0], to) })
	eject.Flags().StringVar(&to, "to", "", "the `directory` to copy it to")
	return group
}

// scriptEntry is a file of the layers as `scripts list` shows it.
type scriptEntry struct {
	Name    string `json:"name"`
	Layer   string `json:"layer"`
	Path    string `json:"path,omitempty"`    // on disk
	Command string `json:"command,omitempty"` // that it declares
	Shadows bool   `json:"shadows,omitempty"` // there is one of that name in a later layer
}

func (a *app) listScripts() error {
	entries := []scriptEntry{}
	index := map[string]int{}
	for _, l := range a.layers.Layers {
		names, err := l.List()
		if err != nil {
			return err
		}
		for _, name := range names {
			if i, seen := index[name]; seen {
				entries[i].Shadows = true
				continue
			}
			index[name] = len(entries)
			e := scriptEntry{Name: name, Layer: l.Name}
			if l.Dir != "" {
				e.Path = filepath.Join(l.Dir, name)
			}
			for _, c := range a.commands {
				if c.File.Layer == l && c.File.Name == name {
					e.Command = c.Words
				}
			}
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(x, y scriptEntry) int {
		return bytes.Compare([]byte(x.Name), []byte(y.Name))
	})
	return a.print("scripts list", entries, nil, func() {
		for _, e := range entries {
			fmt.Fprintf(a.stdout, "%s\n", e.line())
		}
	})
}

func (e scriptEntry) line() string {
	line := fmt.Sprintf("%-32s %-8s", e.Name, e.Layer)
	if e.Command != "" {
		line += "  kinfra " + e.Command
	}
	if e.Shadows {
		line += "  (goes before another of this name)"
	}
	return strings.TrimRight(line, " ")
}

// scriptName completes a name that was given without its ending, and suggests one for
// an unknown name.
func (a *app) findScript(name string) (layer.File, error) {
	file, err := a.layers.Find(name)
	full := name
	if errors.Is(err, fs.ErrNotExist) && path.Ext(name) == "" {
		full += ".star"
		file, err = a.layers.Find(full)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return file, engine.UsageError("kinfra scripts list shows which there are", "there is no script %q%s", name, nearest.Suggest(full, a.scriptNames()))
	}
	return file, err
}

// scriptNames are the names of all layers, as far as these can be listed.
func (a *app) scriptNames() []string {
	var names []string
	for _, l := range a.layers.Layers {
		more, _ := l.List()
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *app) showScript(name string, raw bool) error {
	if raw && a.stdout.terminal {
		return engine.UsageError("leave out --raw, or send the script to a file", "--raw prints what a terminal would obey")
	}
	file, err := a.findScript(name)
	if err != nil {
		return err
	}
	return a.print("scripts show", map[string]string{"name": file.Name, "layer": file.Layer.Name, "text": string(file.Data)}, nil, func() {
		if raw {
			a.stdout.source(file.Data)
			return
		}
		a.stdout.Write(file.Data)
	})
}

// shipped is the file of the binary that stands behind one of the layers.
func (a *app) shipped(file layer.File) (layer.File, error) {
	original, err := a.layers.Builtin.Read(file.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return original, engine.UsageError("", "%s is in the layer %q only: there is none inside the binary", file.Name, file.Layer.Name)
	}
	return original, err
}

func (a *app) diffScript(name string) error {
	file, err := a.findScript(name)
	if err != nil {
		return err
	}
	original, err := a.shipped(file)
	if err != nil {
		return err
	}
	changes := diff.Diff("@kinfra//"+file.Name, original.Data, file.Path(), file.Data)
	return a.print("scripts diff", map[string]string{"name": file.Name, "layer": file.Layer.Name, "diff": string(changes)}, nil, func() {
		a.stdout.Write(changes)
	})
}

func (a *app) ejectScript(name, to string) error {
	file, err := a.findScript(name)
	if err != nil {
		return err
	}
	original, err := a.shipped(file)
	if err != nil {
		return err
	}
	dir, err := a.ejectDir(to)
	if err != nil {
		return err
	}
	files, target := a.world.Disk.Root(dir), filepath.Join(dir, original.Name)
	if _, err := files.Lstat(original.Name); err == nil {
		return &engine.Error{Code: engine.Conflict, Message: target + " is there already: it is left as it is",
			Next: "kinfra scripts diff " + original.Name + " shows what was changed"}
	}
	err = files.MkdirAll(path.Dir(original.Name), 0o755)
	if err == nil {
		err = world.Replace(files, a.world, original.Name, original.Data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("copying %s to %s: %w", original.Name, dir, err)
	}
	return a.print("scripts eject", map[string]string{"name": original.Name, "path": target}, nil, func() {
		verb := "Copied"
		if a.globals.dryRun {
			verb = "Would copy"
		}
		fmt.Fprintf(a.stdout, "%s %s to %s\n", verb, original.Name, target)
	})
}

// ejectDir is where an ejected script goes.
func (a *app) ejectDir(to string) (string, error) {
	for _, dir := range []string{to, a.globals.scripts} {
		if dir != "" {
			return absolute(a.real, dir)
		}
	}
	if dir := userScripts(a.real); dir != "" {
		return dir, nil
	}
	return "", errors.New("neither HOME nor XDG_CONFIG_HOME is set: give --to DIR")
}
