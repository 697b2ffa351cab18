package suite

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// files is a suite of the files "a_test.star", in the order of their names.
func files(t *testing.T, texts map[string]string, change func(*engine.Config)) (*Suite, []layer.File) {
	t.Helper()
	mapped := fstest.MapFS{}
	for name, text := range texts {
		mapped[name] = &fstest.MapFile{Data: []byte(text)}
	}
	l := layer.Embedded("kinfra", mapped)
	s := &Suite{Clock: world.NewFake().Now, Setup: func(_ context.Context, out io.Writer) *engine.Config {
		c := &engine.Config{
			World: world.NewFake().World(), Layers: &layer.Stack{Layers: []*layer.Layer{l}, Builtin: l}, Modules: []table.Module{Module()},
			Limits: engine.DefaultLimits(), Output: engine.Output{Format: engine.Text, Present: &present.Plain{Announcements: out, Progress: out}}, Log: hclog.NewNullLogger(),
		}
		c.Limits.Steps = 1_000_000
		if change != nil {
			change(c)
		}
		return c
	}}
	names, err := l.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	var found []layer.File
	for _, name := range names {
		if !strings.HasSuffix(name, Ending) {
			continue
		}
		file, err := l.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, file)
	}
	return s, found
}

// results runs all tests of files, and gives their names with what they failed with.
func results(t *testing.T, texts map[string]string, change func(*engine.Config)) []string {
	t.Helper()
	s, all := files(t, texts, change)
	var tests []Test
	s.FindAll(t.Context(), all, func(f Found) {
		if f.Err != nil {
			t.Errorf("%s: %v", f.File.Path(), f.Err)
		}
		tests = append(tests, f.Tests...)
	})
	var got []string
	s.Run(t.Context(), tests, func(r Result) {
		line := r.FullName()
		if r.Err != nil {
			line += ": " + strings.ReplaceAll(r.Problem[0].Message, "\n", ", ")
		}
		if r.Output != "" {
			line += " [" + strings.TrimSpace(r.Output) + "]"
		}
		got = append(got, line)
	})
	return got
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestOrder: tests are told of in the order of the files, and in a file in its own.
func TestOrder(t *testing.T) {
	got := results(t, map[string]string{
		"b_test.star": "load('lib.star', 'helper')\n\ntest_z = test.cases({'two': 2, 'one': 1}, lambda n: expect.equal(n, 2))\n\ndef test_a():\n    print('said')\n    helper()\n\ndef _test_not():\n    fail()\n",
		"a_test.star": "def test_passes():\n    step('one', lambda: print('done'))\n\ntest_alias = test_passes\n",
		"lib.star":    "def helper():\n    fail('no help')\n\ndef test_not_here():\n    pass\n",
	}, nil)
	expect(t, got,
		"a_test.star:test_alias [done\n  ok    one (0s)]",
		"a_test.star:test_passes [done\n  ok    one (0s)]",
		"b_test.star:test_z/two",
		"b_test.star:test_z/one: expected 2, got 1",
		"b_test.star:test_a: no help [said]",
	)
}

// TestMany: with more tests than processors, each is told of once and in order.
func TestMany(t *testing.T) {
	got := results(t, map[string]string{
		"a_test.star": "test_n = test.cases({'%d' % n: n for n in range(200)}, lambda n: fail(n))\n",
	}, nil)
	if len(got) != 200 || got[0] != "a_test.star:test_n/0: 0" || got[199] != "a_test.star:test_n/199: 199" {
		t.Errorf("got %d results, from %q to %q", len(got), got[0], got[len(got)-1])
	}
}

// TestApart: no test sees what another has left, in files or in values.
func TestApart(t *testing.T) {
	got := results(t, map[string]string{
		"a_test.star": `
def _once(c):
    expect.equal(probe.count(), 1)

test_files = test.cases({"one": 1, "two": 2, "three": 3}, _once)

def test_last():
    _once(None)
`,
	}, func(c *engine.Config) {
		count := 0
		c.Modules = append(c.Modules, countModule(&count))
	})
	expect(t, got, "a_test.star:test_files/one", "a_test.star:test_files/two", "a_test.star:test_files/three", "a_test.star:test_last")
}

// TestLimits: an endless test fails by name, and the others run.
func TestLimits(t *testing.T) {
	got := results(t, map[string]string{
		"a_test.star": `
def test_endless():
    for _ in range(1 << 60):
        pass

def test_blocks():
    probe.block()

def test_passes():
    pass
`,
	}, func(c *engine.Config) {
		c.Timeout = time.Second
		c.Limits.Steps = 10_000
		c.Modules = append(c.Modules, blockModule())
	})
	expect(t, got,
		"a_test.star:test_endless: over the limit of execution steps",
		"a_test.star:test_blocks: the run timed out after 1s",
		"a_test.star:test_passes",
	)
}

// TestCleansUp: a test that fails is cleaned up after as any run is, and a check that
// fails makes it fail.
func TestCleansUp(t *testing.T) {
	got := results(t, map[string]string{
		"a_test.star": `
def test_undo():
    on_exit(lambda: print("exit"))
    step("do", lambda: None, undo = lambda _: print("undo"))
    fail("enough")

def test_check():
    check("holds", lambda: expect.true(False))
`,
	}, nil)
	if len(got) != 2 || !strings.Contains(got[0], "enough [") || !strings.Contains(got[0], "undo\n") || !strings.Contains(got[0], "exit") ||
		!strings.HasPrefix(got[1], "a_test.star:test_check: 1 of 1 checks failed: holds") {
		t.Errorf("got %q", got)
	}
}

func TestFaultyFiles(t *testing.T) {
	for text, want := range map[string]string{
		"def test_x(:\n":                          "a_test.star:1:13: got ':'",
		"x = nothing\n":                           "undefined: nothing",
		"def test_x(a):\n    pass\n":              "test_x has parameters",
		"def test_x(*a):\n    pass\n":             "test_x has parameters",
		"test_x = 1\n":                            "a_test.star: test_x is a int: want a function",
		"test_x = test.cases({}, print)\n":        "test.cases: there is no case",
		"test_x = test.cases({1: 2}, print)\n":    "test.cases: the name of a case is 1",
		"test_x = test.cases({' ': 2}, print)\n":  `test.cases: the name of a case is " "`,
		"test_x = test.cases({'a\\n': 2}, print)": `test.cases: the name of a case is "a\n"`,
		"load('none.star', 'x')\n":                "none.star is in no layer",
		"fail('broken')\n":                        "broken",
	} {
		s, all := files(t, map[string]string{"a_test.star": text}, nil)
		f := s.Find(t.Context(), all[0])
		if f.Err == nil || !strings.Contains(f.Err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, f.Err, want)
		}
	}
}

// TestValues of cases are frozen, as all that a file defines.
func TestValues(t *testing.T) {
	got := results(t, map[string]string{"a_test.star": "test_x = test.cases({'a': [1]}, lambda v: v.append(2))\n"}, nil)
	expect(t, got, "a_test.star:test_x/a: append: cannot append to frozen list")
	got = results(t, map[string]string{"a_test.star": "cases = test.cases({'a': 1, 'b': 2}, lambda v: 0)\n\ndef test_x():\n    expect.equal([str(cases), type(cases), bool(cases)], ['<2 tests of lambda>', 'tests', True])\n    expect.fails(lambda: {cases: 1}, message = 'tests are no key')\n"}, nil)
	expect(t, got, "a_test.star:test_x")
}

// TestVanishes: a test that depends on what differs between runs says so.
func TestVanishes(t *testing.T) {
	runs := 0
	s, all := files(t, map[string]string{"a_test.star": "test_x = test.cases({str(probe.count()): 1}, print)\n"}, func(c *engine.Config) {
		c.Modules = append(c.Modules, countModule(&runs))
	})
	var problem string
	s.Run(t.Context(), s.Find(t.Context(), all[0]).Tests, func(r Result) { problem = r.Problem[0].Message })
	if problem != "test_x/1 was there when the file was first loaded, and isn't now" {
		t.Errorf("the problem is %q", problem)
	}
}

// TestEnds: when the context ends, what has not begun is left out, and nothing is left
// running.
func TestEnds(t *testing.T) {
	s, all := files(t, map[string]string{
		"a_test.star": "test_n = test.cases({'%d' % n: n for n in range(50)}, lambda n: probe.block())\n",
	}, func(c *engine.Config) { c.Modules = append(c.Modules, blockModule()) })
	ctx, cancel := context.WithCancelCause(t.Context())
	tests := s.Find(ctx, all[0]).Tests
	cancel(engine.ErrInterrupted)
	told := 0
	s.Run(ctx, tests, func(r Result) {
		told++
		if !errors.Is(r.Err, engine.ErrInterrupted) {
			t.Errorf("%s ended with %v", r.Name(), r.Err)
		}
	})
	if most := runtime.GOMAXPROCS(0); told > most {
		t.Errorf("%d tests ran, want at most %d", told, most)
	}
}
