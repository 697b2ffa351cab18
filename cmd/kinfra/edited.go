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

// today is what has become of the scripts of a run since they were recorded.
type today struct {
	changed, gone []string // paths
	err           error    // why scripts can't be read
}

// same tells whether all scripts are known to be as they were.
func (t today) same() bool { return len(t.changed) == 0 && len(t.gone) == 0 && t.err == nil }

// usable tells whether some scripts have changed, and nothing is known to keep the run from
// going on with them.
func (t today) usable() bool { return len(t.changed) > 0 && len(t.gone) == 0 && t.err == nil }

// scriptsToday looks at what has become of the scripts of a run. A project's are read whether
// they are trusted or not.
func (a *app) scriptsToday(copied layer.Copy, run *event.Run) today {
	var g globals
	g.early(run.Args)
	w := world.In(a.real, run.Dir)
	layers, err := layersWith(w, g.scripts, anyProject)
	if err != nil {
		return today{err: err}
	}
	var t today
	for _, f := range copied.Changed(w, layers) {
		switch path := a.shown(f.File); {
		case f.Err == nil:
			t.changed = append(t.changed, path)
		case errors.Is(f.Err, fs.ErrNotExist):
			t.gone = append(t.gone, path)
		case t.err == nil:
			t.err = fmt.Errorf("reading the script: %w", f.Err)
		}
	}
	for _, paths := range []*[]string{&t.changed, &t.gone} {
		slices.Sort(*paths)
		*paths = slices.Compact(*paths)
	}
	return t
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
	case !how.edited:
		io.WriteString(a.stderr, past.today.text(past.id))
	case past.today.same():
		io.WriteString(a.stderr, "The scripts have not changed since they were recorded\n")
	}
}

// text says which scripts have changed, and how to resume the run with them if that can be; "" if none
// have.
func (t today) text(id string) string {
	if t.usable() {
		it := "it as it is"
		if len(t.changed) > 1 {
			it = "them as they are"
		}
		return fmt.Sprintf("%s changed since the run was recorded: kinfra resume %s --edited resumes the run with %s now\n", have(t.changed), id, it)
	}
	text := ""
	if len(t.changed) > 0 {
		text += have(t.changed) + " changed since the run was recorded\n"
	}
	if len(t.gone) > 0 {
		text += have(t.gone) + " been removed since the run was recorded\n"
	}
	if t.err != nil {
		text += "Whether the scripts have changed isn't known: " + visible.Line(t.err.Error()) + "\n"
	}
	return text
}

// describe says for programs what has become of the scripts, as far as there is anything to say.
func (t today) describe(result map[string]any) {
	for name, paths := range map[string][]string{"changed_scripts": t.changed, "removed_scripts": t.gone} {
		if len(paths) > 0 {
			result[name] = paths
		}
	}
	if t.err != nil {
		result["scripts_error"] = t.err.Error()
	}
}

// have names some paths, with the verb behind them.
func have(paths []string) string {
	const most = 3
	names := visible.Line(strings.Join(paths[:min(len(paths), most)], ", "))
	if more := len(paths) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	if len(paths) > 1 {
		return names + " have"
	}
	return names + " has"
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
		next = "kinfra resume " + a.recorded + " resumes it, "
		if a.past != nil && a.past.Edited == nil && a.past.today.usable() {
			next = "kinfra resume " + a.recorded + " --edited resumes it with the scripts as they are now, "
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
