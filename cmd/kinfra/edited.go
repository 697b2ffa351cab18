package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// edited is how the run of this command line goes on with today's scripts.
func (a *app) edited(store *journal.Store) *engine.Edited {
	record := a.past.record
	return &engine.Edited{
		Keep: func(loaded []layer.File) (string, error) {
			data, err := json.Marshal(a.layers.Copy(loaded))
			if err != nil {
				return "", err
			}
			return store.KeepScripts(record.ID, data)
		},
		Source: func(scripts, file string) []byte {
			copied, err := readScriptsOf(store, record, scripts)
			if err != nil {
				return nil // it was read before, and is only to be shown
			}
			return copied.Text(file)
		},
	}
}

// changedScripts is the scripts of a run that are others today than it has on record, as
// paths. A project's are read whether they are trusted or not. What can't be read says so
// when it is run.
func (a *app) changedScripts(copied layer.Copy, run *event.Run) []string {
	var g globals
	g.early(run.Args)
	w := world.In(a.real, run.Dir)
	today, err := layersWith(w, g.scripts, anyProject)
	if today == nil || err != nil {
		return nil
	}
	var paths []string
	for _, f := range copied.Changed(w, today) {
		path := a.shown(f.File)
		if errors.Is(f.Err, fs.ErrNotExist) {
			path += " (gone)"
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// shown is the path of a script as messages give it: relative to the working directory if it
// is below it.
func (a *app) shown(f layer.File) string {
	if f.Layer.Dir == "" {
		return f.Name + " inside kinfra"
	}
	path := filepath.Join(f.Layer.Dir, filepath.FromSlash(f.Name))
	work, err := a.real.Env.WorkDir()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(work, path); err == nil && filepath.IsLocal(rel) {
		return "./" + rel
	}
	return path
}

// announceScripts says what comes of scripts that were edited.
func (a *app) announceScripts(past *resumption, how goingOn) {
	switch {
	case how.undo:
	case how.edited && len(past.changed) == 0:
		io.WriteString(a.stderr, "The scripts have not changed since they were recorded\n")
	case !how.edited && len(past.changed) > 0:
		io.WriteString(a.stderr, hintAtEdited(past.id, past.changed))
	}
}

// hintAtEdited says on a line which scripts have changed, and how to go on with them.
func hintAtEdited(id string, changed []string) string {
	const most = 3
	names := visible.Line(strings.Join(changed[:min(len(changed), most)], ", "))
	if more := len(changed) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	has, it := "has", "it as it is"
	if len(changed) > 1 {
		has, it = "have", "them as they are"
	}
	return fmt.Sprintf("%s %s changed since the run was recorded: kinfra resume %s --edited goes on with %s now\n", names, has, id, it)
}

// hintAtRecord says, after a run that left a record failed, what can be done with that.
func (a *app) hintAtRecord(err error) {
	if err == nil || a.recorded == "" || a.globals.output != engine.Text || a.past != nil && a.past.Undo {
		return
	}
	if a.past != nil && a.past.Edited != nil && (a.run == nil || !a.run.Went()) {
		a.hintAtRefusal(err)
		return
	}
	if a.run == nil || a.run.Report().Passed() { // it is something else that failed
		return
	}
	next := ""
	if rep := a.run.Report(); rep.MayResume() {
		next = "kinfra resume " + a.recorded + " goes on with it, "
		if a.past != nil && a.past.Edited == nil && len(a.past.changed) > 0 {
			next = "kinfra resume " + a.recorded + " --edited goes on with the scripts as they are now, "
		}
	}
	fmt.Fprintf(a.stderr, "The run is recorded: %skinfra runs show %s shows it\n", next, a.recorded)
}

// hintAtRefusal says what is so once edited scripts could not be used, for instance because
// they don't take the flags that the run was started with.
func (a *app) hintAtRefusal(err error) {
	io.WriteString(a.stderr, "Nothing was run, and the record is as it was\n")
	if (&engine.Config{Classify: classify}).CodeOf(err) != engine.Usage || diag.Of(err, a.sources)[0].Place != nil {
		return
	}
	words := make([]string, len(a.past.run.Args))
	for i, word := range a.past.run.Args {
		words[i] = world.ShellWord(word)
	}
	fmt.Fprintf(a.stderr, "The command line of the run is: kinfra %s\n", visible.Line(strings.Join(words, " ")))
}
