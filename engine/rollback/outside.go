package rollback

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

var errDead = errors.New("the process is dead")

// outside is what the functions of a program call.
func (s *site) outside(p Process) table.Module {
	key := table.Param{Name: "key", Type: table.String(), Help: "of the step"}
	result := table.Param{Name: "result", Type: table.Any(), Help: "of the step"}
	var mu sync.Mutex
	called := map[string]int{}
	fails := func(key string, late bool) bool {
		mu.Lock()
		defer mu.Unlock()
		f := p.Fails[path.Base(key)]
		return f.Late == late && called[key] <= f.Times
	}
	return table.Module{Name: "outside", Builtins: []table.Builtin{
		{Name: "outside.begins", Run: func(c *table.Call) (starlark.Value, error) {
			return starlark.None, s.tell(c, Entry{What: ScriptBegan})
		}},
		{Name: "outside.run", Params: []table.Param{key}, Run: func(c *table.Call) (starlark.Value, error) {
			if engine.World(c.Thread).Planned() {
				return starlark.None, nil
			}
			key := c.String("key")
			mu.Lock()
			called[key]++
			mu.Unlock()
			err := s.tell(c, Entry{What: RunBegan, Key: key})
			for range p.Slow[path.Base(key)] {
				runtime.Gosched()
			}
			if err == nil && fails(key, false) {
				err = errors.Join(s.tell(c, Entry{What: RunFailed, Key: key}), fmt.Errorf("%s fails", key))
			}
			return starlark.None, err
		}},
		{Name: "outside.ran", Params: []table.Param{key}, Run: func(c *table.Call) (starlark.Value, error) {
			key := c.String("key")
			if engine.World(c.Thread).Planned() {
				return starlark.String("planned"), nil
			}
			if fails(key, true) {
				return nil, errors.Join(s.tell(c, Entry{What: RunFailed, Key: key}), fmt.Errorf("%s fails late", key))
			}
			result := fmt.Sprintf("%s of %d", key, s.tracer.length())
			return starlark.String(result), s.tell(c, Entry{What: RunDone, Key: key, Arg: result})
		}},
		{Name: "outside.passed", Params: []table.Param{key, result}, Run: func(c *table.Call) (starlark.Value, error) {
			return starlark.None, s.tell(c, Entry{What: Passed, Key: c.String("key"), Arg: text(c.Value("result"))})
		}},
		{Name: "outside.undo", Params: []table.Param{key, result}, Run: func(c *table.Call) (starlark.Value, error) {
			key := c.String("key")
			err := s.tell(c, Entry{What: UndoBegan, Key: key, Arg: text(c.Value("result"))})
			switch {
			case err != nil:
				return nil, err
			case p.Stuck[path.Base(key)]:
				return nil, errors.Join(s.tell(c, Entry{What: UndoFailed, Key: key}), fmt.Errorf("the undo of %s fails", key))
			}
			return starlark.None, s.tell(c, Entry{What: UndoDone, Key: key})
		}},
	}}
}

func text(v starlark.Value) string {
	if s, ok := starlark.AsString(v); ok {
		return s
	}
	return v.String()
}

// tell notes what a function does, unless it only goes the way of the record.
func (s *site) tell(c *table.Call, e Entry) error {
	if engine.World(c.Thread).Planned() {
		return nil
	}
	return s.tracer.note(e, nothing)
}

// mortal is the world of a process: its journal's lines are noted, and after its death
// nothing reaches the outside any more.
func (s *site) mortal() world.World {
	w := s.world
	w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
		return worldtest.Files{Files: files, OnAppend: func(name string) (world.Appender, error) { return s.append(files, name) }}
	}}
	return world.Faulty(w, func(string, string) error {
		if s.tracer.isDead() {
			return errDead
		}
		return nil
	})
}

func (s *site) append(files world.Files, name string) (world.Appender, error) {
	a, err := files.Append(name)
	if err != nil || path.Base(name) != "journal.jsonl" {
		return a, err
	}
	return &notedAppender{a, s.tracer}, nil
}

// notedAppender notes the lines of a journal as they reach it.
type notedAppender struct {
	appender world.Appender
	tracer   *tracer
}

func (a *notedAppender) Write(data []byte) (n int, err error) {
	e, err := lineOf(data)
	if err == nil {
		err = a.tracer.note(e, func() (err error) { n, err = a.appender.Write(data); return err })
	}
	return n, err
}

func (a *notedAppender) Sync() error  { return a.appender.Sync() }
func (a *notedAppender) Close() error { return a.appender.Close() }
