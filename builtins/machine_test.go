package builtins

import (
	"context"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// module is what the scripts in testdata do to their machine from outside, as another
// program or its user would.
func (m *machine) module() table.Module {
	text := func(name string) table.Param { return table.Param{Name: name, Type: table.String()} }
	number := func(name string) table.Param { return table.Param{Name: name, Type: table.Int()} }
	content := table.Param{Name: "content", Type: table.OneOf(table.String(), table.Of[starlark.Bytes]("bytes"))}
	optional := func(p table.Param, standard starlark.Value) table.Param {
		p.Named, p.Optional, p.Default = true, true, standard
		return p
	}
	none := starlark.String("")
	declare := func(name string, run func(*table.Call) (starlark.Value, error), params ...table.Param) table.Builtin {
		return table.Builtin{Name: "machine." + name, Params: params, Run: run}
	}
	return table.Module{Name: "machine", Builtins: []table.Builtin{
		declare("write", m.write, text("path"), content),
		declare("link", m.link, text("path"), text("target")),
		declare("setenv", m.setenv, text("name"), text("value")),
		declare("unsetenv", m.unsetenv, text("name")),
		declare("listen", m.listen, text("address")),
		declare("program", m.program, text("name"), optional(number("code"), starlark.MakeInt(0)),
			optional(content, none), optional(table.Param{Name: "stderr", Type: content.Type}, none),
			optional(table.Param{Name: "hangs", Type: table.Bool()}, starlark.False)),
		declare("commands", m.commands),
		declare("announced", m.announced),
		declare("progress", m.progress),
		declare("evaluate", m.evaluate, text("text")),
		declare("claim", m.claim, number("slot"), text("worktree")),
		declare("colors", m.colors),
		declare("odd_file", m.oddFile, text("dir")),
		declare("disk", m.disk, text("dir")),
	}}
}

// bytesOf is an argument that is a string or bytes.
func bytesOf(v starlark.Value) []byte {
	if b, ok := v.(starlark.Bytes); ok {
		return []byte(b)
	}
	s, _ := starlark.AsString(v)
	return []byte(s)
}

func (m *machine) write(c *table.Call) (starlark.Value, error) {
	m.fake.Write(c.String("path"), bytesOf(c.Value("content")))
	return nil, nil
}

func (m *machine) link(c *table.Call) (starlark.Value, error) {
	return nil, m.fake.Host().Symlink(c.String("target"), c.String("path"))
}

func (m *machine) setenv(c *table.Call) (starlark.Value, error) {
	m.fake.Env[c.String("name")] = c.String("value")
	return nil, nil
}

func (m *machine) unsetenv(c *table.Call) (starlark.Value, error) {
	delete(m.fake.Env, c.String("name"))
	return nil, nil
}

func (m *machine) listen(c *table.Call) (starlark.Value, error) {
	m.fake.Listeners = map[string]bool{c.String("address"): true}
	return nil, nil
}

// program says what a program does: it prints, and ends with a code or never.
func (m *machine) program(c *table.Call) (starlark.Value, error) {
	out := world.Output{Code: c.Int("code"), Stdout: bytesOf(c.Value("content")), Stderr: bytesOf(c.Value("stderr"))}
	if c.Bool("hangs") {
		out.Code = -1
	}
	m.programs[c.String("name")] = out
	return nil, nil
}

// commands are the processes that were started so far.
func (m *machine) commands(*table.Call) (starlark.Value, error) {
	return engine.List(m.fake.Commands(), func(cmd world.Command) starlark.Value {
		return engine.Struct("args", engine.List(cmd.Args, stringValue), "dir", cmd.Dir, "env", engine.List(cmd.Env, stringValue),
			"stdin", string(cmd.Stdin), "timeout", cmd.Timeout.String(), "read_only", cmd.ReadOnly)
	}), nil
}

// announced is what the run has told its user so far.
func (m *machine) announced(*table.Call) (starlark.Value, error) {
	return starlark.String(m.stdout.String()), nil
}

// progress is what the run has shown of how far it is.
func (m *machine) progress(*table.Call) (starlark.Value, error) {
	return starlark.String(m.stderr.String()), nil
}

// evaluate evaluates a text as a file that another one loads.
func (m *machine) evaluate(c *table.Call) (starlark.Value, error) {
	name := fmt.Sprintf("loaded_%d.star", len(m.files))
	m.script(name, c.String("text"))
	_, err := engine.Load(c.Thread, name)
	return nil, err
}

func (m *machine) claim(c *table.Call) (starlark.Value, error) {
	return nil, m.claimSlot(c.Int("slot"), c.String("worktree"))
}

func (m *machine) claimSlot(id int, worktree string) error {
	store := registry.Open(m.fake.World(), "/home/user/.pool")
	return store.Update(context.Background(), func(r *registry.Registry) error {
		s, ok := r.Slot(id)
		if !ok {
			return fmt.Errorf("no slot %d", id)
		}
		s.ClaimedBy, s.ClaimedAt = worktree, "2026-02-02T10:11:12.131415+00:00"
		if worktree == "" {
			s.ClaimedAt = ""
		}
		return r.PutSlot(s)
	})
}

func (m *machine) colors(*table.Call) (starlark.Value, error) {
	m.config.Output.Ink = visible.NewInk(func([]byte) {}) // by the key 0
	return nil, nil
}

// oddFile makes a file whose name is not UTF-8, which no string in a script can say.
func (m *machine) oddFile(c *table.Call) (starlark.Value, error) {
	m.fake.Write(c.String("dir")+"/a\xff", []byte("odd"))
	return nil, nil
}

// disk is the paths below a directory as they are, whatever a dry run plans.
func (m *machine) disk(c *table.Call) (starlark.Value, error) {
	all := listTree(m.fake.World(), c.String("dir"))
	return engine.List(all, stringValue), nil
}

func listTree(w world.World, dir string) []string {
	entries, _ := w.Disk.Host().ReadDir(dir)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
		for _, below := range listTree(w, dir+"/"+e.Name) {
			all = append(all, e.Name+"/"+below)
		}
	}
	return all
}

// lines joins the lines of a text that a test expects.
func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
