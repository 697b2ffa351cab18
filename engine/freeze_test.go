package engine

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/table"
)

// closures define names whose value is a function that refers to itself, by all the ways
// that lead there past what notes that it is frozen.
var closures = map[string]struct{ text, want string }{
	"by its name": {"def mk():\n    def f():\n        return f\n    return f\n", "the function f refers to itself"},
	"a lambda":    {"def mk():\n    f = lambda: f\n    return f\n", "the function lambda refers to itself"},
	"two that share cells": {"def mk():\n    def f():\n        return g\n    def g():\n        return f\n    return f\n",
		"the function f refers to itself (f -> g -> f)"},
	"a cell of the function around": {"def mk():\n    def f():\n        def g():\n            return f\n        return g\n    return f()\n", "the function f refers to itself"},
	"a tuple":                       {"def mk():\n    t = (1,)\n    def f():\n        return t\n    t = (f,)\n    return f\n", "the function f refers to itself"},
	"a default":                     {"def mk():\n    def f():\n        return g\n    def g(x = f):\n        return x\n    return g\n", "refers to itself"},
	"a method's receiver":           {"def mk():\n    def f():\n        return t\n    t = (f, [f].index)\n    return f\n", "the function f refers to itself"},
	"in a list":                     {"def mk():\n    def f():\n        return f\n    return [f]\n", "the function f refers to itself"},
	"in a dict":                     {"def mk():\n    def f():\n        return f\n    return {1: {\"f\": f}}\n", "the function f refers to itself"},
	"as a key":                      {"def mk():\n    def f():\n        return f\n    return {f: 1}\n", "the function f refers to itself"},
	"in a set":                      {"def mk():\n    def f():\n        return f\n    return set([f])\n", "the function f refers to itself"},
	"in a struct":                   {"def mk():\n    def f():\n        return f\n    return struct(f = f)\n", "the function f refers to itself"},
	"in a value of a builtin":       {"def mk():\n    def f():\n        return f\n    return hold.value(f)\n", "the function f refers to itself"},
	"through a value of a builtin":  {"def mk():\n    def f():\n        return h\n    h = hold.value(f)\n    return h\n", "the function f refers to itself"},
	"behind a list in a cycle":      {"def mk():\n    all = []\n    def f():\n        return all, g\n    def g():\n        return f\n    all.append(g)\n    return all\n", "refers to itself"},
}

// A function that refers to itself would be frozen without end, on a stack whose overflow
// nothing can catch. Wherever values are frozen, it is an error of the script.
func TestClosuresThatReferToThemselves(t *testing.T) {
	for name, closure := range closures {
		t.Run(name, func(t *testing.T) {
			for where, files := range map[string][]string{
				"a global":                      {closure.text + "x = mk()\n" + body("pass")},
				"a global of a file loaded":     {"load(\"lib.star\", \"x\")\n" + body("pass"), "lib.star: " + closure.text + "x = mk()\n"},
				"a global of a file that fails": {"load(\"lib.star\", \"x\")\n" + body("pass"), "lib.star: " + closure.text + "x = mk()\nfail(\"the end\")\n"},
				"the function of parallel":      {closure.text + body("made = mk()\nparallel([1], lambda i: made)")},
				"an item of parallel":           {closure.text + body("parallel([mk()], lambda i: 1)")},
				"a result of parallel":          {closure.text + body("parallel([1], lambda i: mk())")},
			} {
				m := newHolding(t, files...)
				want := closure.want
				if strings.HasSuffix(where, "fails") {
					want = "the end"
				}
				err := m.exec()
				m.wants(err, want)
				m.wantsCode(err, Failed)
			}
		})
	}
}

// The error points to the function.
func TestWhereAClosureRefersToItself(t *testing.T) {
	m := newMachine(t, "load(\"lib.star\", \"x\")\n", "lib.star: def mk():\n    def f():\n        return f\n    return f\n\nx = mk()\n")
	_, err := m.load()
	m.wants(err, "the function f refers to itself")
	d := diag.Of(err, m.run.Source)[0]
	if d.Place == nil || d.Place.String() != "lib.star:2:5" || d.Hint == "" || len(d.Calls) != 1 {
		t.Errorf("got %+v at %v", d, d.Place)
	}
	if len(m.run.Globals()) > 0 {
		t.Error("what can't be frozen is among the globals")
	}
}

// What ends a cycle by noting that it is frozen is frozen, like all that has no cycle.
func TestFrozenAllTheSame(t *testing.T) {
	for name, text := range map[string]string{
		"a list that holds itself":    "def mk():\n    l = []\n    l.append(l)\n    return l\n",
		"a dict that holds itself":    "def mk():\n    d = {}\n    d[1] = (d,)\n    return d\n",
		"a function in its own list":  "def mk():\n    l = []\n    def f():\n        return l\n    l.append(f)\n    return l\n",
		"a function in its own dict":  "def mk():\n    d = {}\n    def f():\n        return d\n    d[1] = struct(f = (f,))\n    return d\n",
		"a function before its value": "def mk():\n    def f():\n        return later\n    g = f\n    if False:\n        later = 1\n    return g\n",
		"tuples that share a tuple":   "def mk():\n    t = ()\n    for _ in range(20):\n        t = (t, t)\n    return t\n",
		"lists that share a list":     "def mk():\n    t = []\n    for _ in range(200):\n        t = [t, t]\n    return t\n",
		"a hundred thousand lists":    "def mk():\n    return [[i] for i in range(100000)]\n",
		"a deep list":                 "def mk():\n    t = []\n    for _ in range(9000):\n        t = [t]\n    return t\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, text+"x = mk()\n"+body("parallel([1, x], lambda i: x)"))
			m.wants(m.exec(), "")
			if list, ok := m.run.Globals()["x"].(*starlark.List); ok && list.Append(starlark.None) == nil {
				t.Error("it isn't frozen")
			}
		})
	}
}

// What nests so deep, or shares so much, that freezing it would overflow the stack or
// never end is refused.
func TestTooMuchToFreeze(t *testing.T) {
	for name, test := range map[string]struct{ grow, want string }{
		"lists":            {"[t]", "nests too deep"},
		"tuples":           {"(t,)", "nests too deep"},
		"dicts":            {"{1: t}", "nests too deep"},
		"structs":          {"struct(t = t)", "nests too deep"},
		"lists in tuples":  {"([t],)", "nests too deep"},
		"functions":        {"wrap(t)", "nests too deep"},
		"shared tuples":    {"(t, t)", "too many times over"},
		"shared functions": {"wrap((t, t))", "too many times over"},
	} {
		t.Run(name, func(t *testing.T) {
			times := map[string]string{"nests too deep": "100000", "too many times over": "100"}[test.want]
			m := newMachine(t, "def wrap(v):\n    return lambda: v\n\ndef mk():\n    t = (1,)\n    for _ in range("+times+"):\n        t = "+test.grow+"\n    return t\n\nx = mk()\n"+body("pass"))
			err := m.exec()
			m.wants(err, test.want)
			m.wantsCode(err, Failed)
		})
	}
}

// Freezing is looked ahead of in the order in which it goes, so that a graph that is
// shallow in one order and deep in another is judged by the one that counts.
func TestFreezeGoesDeepOnlyWhereItWasLookedAt(t *testing.T) {
	chain := func(order string) string {
		return "def mk():\n    all = [[]]\n    for i in range(100000):\n        all.append([all[i]])\n    return " + order + "\n\nx = mk()\n"
	}
	m := newMachine(t, chain("all")+body("pass"))
	m.wants(m.exec(), "") // each is frozen before the one that holds it
	m = newMachine(t, chain("reversed(all)")+body("pass"))
	m.wants(m.exec(), "nests too deep")
}

// newHolding is a machine with a builtin whose value holds another.
func newHolding(t *testing.T, files ...string) *machine {
	m := newMachine(t, files...)
	m.config.Modules = append(m.config.Modules, table.Module{Name: "hold", Builtins: []table.Builtin{{
		Name: "hold.value", Params: []table.Param{{Name: "value", Type: table.Any()}},
		Run: func(c *table.Call) (starlark.Value, error) { return &holder{c.Value("value")}, nil },
	}}})
	return m
}

type holder struct{ value starlark.Value }

func (h *holder) String() string         { return "<holder>" }
func (h *holder) Type() string           { return "holder" }
func (h *holder) Freeze()                { h.value.Freeze() }
func (h *holder) Truth() starlark.Bool   { return true }
func (h *holder) Hash() (uint32, error)  { return 0, nil }
func (h *holder) Held() []starlark.Value { return []starlark.Value{h.value} }
