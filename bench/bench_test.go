package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
)

// TestEachPromiseOnce measures every row once, with its checks of what the programs
// did. No time is asserted: the verdicts don't matter here.
func TestEachPromiseOnce(t *testing.T) {
	l := built
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			f, err := p.measure(t.Context(), l, 1)
			if err != nil {
				t.Fatal(err)
			}
			if f.value == 0 || f.from == "" {
				t.Errorf("got %+v, want a figure and where it comes from", f)
			}
		})
	}

	t.Run("what was measured", func(t *testing.T) {
		for root, want := range map[string]int{"new": poolSize, "pool": poolSize, "children": 0} {
			envs, err := filepath.Glob(filepath.Join(l.dir, root, "sandboxes", "slot-*", ".env.sandbox"))
			if err != nil || len(envs) != want {
				t.Errorf("%s: the measured runs left %d slots, want %d (%v)", root, len(envs), want, err)
			}
		}
		for _, n := range []int{10, 100, 1_000, 10_000} {
			data, err := os.ReadFile(filepath.Join(l.dir, fmt.Sprint("slots-", n), registry.File))
			if err != nil {
				t.Fatal(err)
			}
			var large struct{ Slots map[string]registered }
			if err := json.Unmarshal(data, &large); err != nil || len(large.Slots) != n {
				t.Errorf("the registry of %d slots has %d (%v)", n, len(large.Slots), err)
			}
			for id, s := range large.Slots {
				if len(s.Ports) != 2 {
					t.Fatalf("slot %s of %d has %d ports, want two", id, n, len(s.Ports))
				}
			}
		}
	})
}

// TestDoingNothingIsNoSpeed puts a program that ends at once in kinfra's place: no row
// may give a figure for that.
func TestDoingNothingIsNoSpeed(t *testing.T) {
	l := *built
	l.kinfra = l.empty
	for _, p := range promises() {
		if f, err := p.measure(t.Context(), &l, 1); err == nil {
			t.Errorf("%s: got %+v for a kinfra that does nothing, want an error", p.name, f)
		}
	}
	l = *built
	l.starlark = l.empty
	if f, err := scriptRatio(t.Context(), &l, 1); err == nil {
		t.Errorf("script: got %+v for a starlark command that does nothing, want an error", f)
	}
}

// TestFewerStepsAreNoSpeed: a script that does fewer steps than it says, or than the
// row says, is not measured.
func TestFewerStepsAreNoSpeed(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(built.source, "steps.star"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fewer := range [][2]string{{"_COUNT = 100", "_COUNT = 99"}, {"in range(_COUNT):\n        step", "in range(_COUNT - 1):\n        step"}} {
		l := *built
		l.source = t.TempDir()
		text := strings.Replace(string(script), fewer[0], fewer[1], 1)
		if err := os.WriteFile(filepath.Join(l.source, "steps.star"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, times, err := l.steps(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "want 100 of 100") {
			t.Errorf("%s: got %+v and %v, want an error", fewer[1], times, err)
		}
	}
}

// TestFailingIsNoSpeed: a program that ends with an error is not measured.
func TestFailingIsNoSpeed(t *testing.T) {
	for _, weighs := range []bool{false, true} {
		l := *built
		l.weighs = weighs
		if _, err := l.execute(t.Context(), l.kinfra, "no-such-command"); err == nil || !strings.Contains(err.Error(), "has no command") {
			t.Errorf("weighing %t: got %v, want an error that shows what the program printed", weighs, err)
		}
	}
}

// built is the lab of all tests; its programs take seconds to build.
var built *lab

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kinfra-bench-test-")
		if err == nil {
			defer os.RemoveAll(dir)
			built, err = newLab(context.Background(), dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// builtBefore is a build that takes no time.
func builtBefore(context.Context, string) (*lab, error) { return built, nil }

// fixed is a promise whose figures are given, one for each time that it is measured.
func fixed(name string, values ...float64) promise {
	return promise{
		name: name, what: "a test", limit: 3, unit: "×", share: 1,
		measure: func(context.Context, *lab, int) (figure, error) {
			if len(values) == 0 {
				return figure{}, fmt.Errorf("no value left")
			}
			v := values[0]
			values = values[1:]
			return figure{v, "given"}, nil
		},
	}
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		name     string
		args     string
		promises []promise
		code     int
		want     []string // in what is printed
	}{
		{"holds", "", []promise{fixed("a", 3)}, 0, []string{"a ", "3.00 × 3.00 × holds given"}},
		{"broken", "", []promise{fixed("a", 1), fixed("b", 4, 3.5, 3.01)}, 1, []string{"holds", "3.01 × 3.00 × BROKEN (measured again: 4.00 ×, 3.50 ×, 3.01 ×)"}},
		{"holds when measured again", "", []promise{fixed("a", 12.34, 2)}, 0, []string{"holds (measured again: 12.3 ×, 2.00 ×)"}},
		{"a broken one that isn't asked for", "-run ^a$", []promise{fixed("a", 1), fixed("ab", 4, 4, 4)}, 0, []string{"holds"}},
		{"broken, as JSON", "-json", []promise{fixed("a", 4, 4, 4)}, 1, []string{`"holds": false`, `"version": 1`}},
		{"not to be measured", "", []promise{fixed("a")}, 2, []string{"error: a: no value left"}},
		{"no such promise", "-run x", []promise{fixed("a", 1)}, 2, []string{`-run "x" matches none of: a`}},
		{"bad pattern", "-run (", []promise{fixed("a", 1)}, 2, []string{"error: -run: "}},
		{"no runs", "-n 0", []promise{fixed("a", 1)}, 2, []string{"-n 0: want 1 or more"}},
		{"a stray word", "slots", []promise{fixed("a", 1)}, 2, []string{`"slots": want flags only`}},
		{"unknown flag", "-x", []promise{fixed("a", 1)}, 2, []string{"-x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), append([]string{"-n", "1"}, strings.Fields(test.args)...), test.promises, builtBefore, &out, &out)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
					t.Errorf("got\n%s\nwant %q in it", &out, want)
				}
			}
		})
	}
}

// TestBrokenPromise breaks a real promise, by a limit that no program keeps.
func TestBrokenPromise(t *testing.T) {
	all := promises()
	i := slices.IndexFunc(all, func(p promise) bool { return p.name == "slots" })
	all[i].limit = 0.01
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-n", "1", "-run", "^slots$", "-json"}, all, builtBefore, &out, io.Discard); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	if len(r.Rows) != 1 || r.Rows[0].Holds || len(r.Rows[0].Measured) != mostTries {
		t.Errorf("got %+v, want one broken promise, measured %d times", r.Rows, mostTries)
	}
	if r.Floor.Empty <= 0 || r.Floor.Durable <= 0 {
		t.Errorf("the floor is %+v, want two times", r.Floor)
	}
}

func TestInTurn(t *testing.T) {
	var order strings.Builder
	as := func(name string) sample {
		return func(context.Context) (process, error) {
			order.WriteString(name)
			return process{wall: time.Duration(order.Len())}, nil
		}
	}
	a, b, err := inTurn(t.Context(), 2, as("a"), as("b"))
	if err != nil {
		t.Fatal(err)
	}
	if order.String() != "abbaab" {
		t.Errorf("ran in the order %q, want one of each first, and then in turn", &order)
	}
	if len(a) != 2 || len(b) != 2 || a[0].wall != 4 || b[0].wall != 3 {
		t.Errorf("got %v and %v, want the first of each left out", a, b)
	}
}

func TestMiddle(t *testing.T) {
	for _, test := range []struct {
		times []time.Duration
		want  time.Duration
	}{
		{[]time.Duration{7}, 7},
		{[]time.Duration{9, 1}, 5},
		{[]time.Duration{900, 1, 2}, 2},
		{[]time.Duration{4, 1, 900, 2}, 3},
	} {
		if got := middle(test.times); got != test.want {
			t.Errorf("middle(%v) = %v, want %v", test.times, got, test.want)
		}
	}
}
