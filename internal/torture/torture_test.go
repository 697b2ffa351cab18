package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/world"
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(childVariable); ok {
		os.Exit(runChild(context.Background(), text, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestPromises tries each promise in its short form, in which the seeded faults are
// still caught. Under -short, which is how the race detector is run, they are left out:
// they take longest, and race on purpose. So is what needs a Docker Engine, unless one
// is demanded.
func TestPromises(t *testing.T) {
	programs := &builds{dir: t.TempDir()}
	for _, p := range promises() {
		onEngine := p.name == "stacks" || p.name == "stackflow"
		if testing.Short() && (p.name == "seeded" || onEngine && os.Getenv(dockertest.Demand) != "1") {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f, err := p.try(t.Context(), &lab{dir: t.TempDir(), short: true, claiming: shortClaiming, progress: io.Discard, builds: programs})
			if reason, ok := errors.AsType[notRunError](err); ok && os.Getenv(demand) != "1" {
				t.Skip(reason)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, reason := range f.broken {
				t.Error(reason)
			}
			t.Log(f.figures)
		})
	}
}

// fixed is a promise of which it is given what comes of it.
func fixed(name string, f finding, err error) promise {
	return promise{name, "a test", "nothing", func(context.Context, *lab) (finding, error) { return f, err }}
}

func TestRun(t *testing.T) {
	holds := fixed("a", finding{figures: "3 times"}, nil)
	broken := fixed("b", finding{broken: []string{"1", "2", "3", "4", "5", "6", "7"}}, nil)
	skipped := fixed("c", finding{}, fmt.Errorf("there: %w", notRunError("no root")))
	for _, test := range []struct {
		name     string
		args     string
		promises []promise
		code     int
		want     []string // in what is printed
	}{
		{"holds", "", []promise{holds}, 0, []string{"a a test holds 0.0 nothing 3 times"}},
		{"broken", "", []promise{holds, broken}, 1, []string{"b a test broken", "b: 5", "b: and 2 more"}},
		{"broken, as JSON", "-json", []promise{broken}, 1, []string{`"verdict": "broken"`, `"version": 1`, `"7"`}},
		{"not run", "", []promise{holds, skipped}, 2, []string{"c a test not run 0.0 nothing no root", "1 held, 0 broken, 1 not run"}},
		{"not run, as JSON", "-json", []promise{skipped}, 2, []string{`"not_run": 1`, `"held": 0`}},
		{"broken, and one not run", "", []promise{holds, broken, skipped}, 1, []string{"1 held, 1 broken, 1 not run"}},
		{"left out", "-run a", []promise{holds, skipped}, 0, []string{"1 held, 0 broken, 0 not run"}},
		{"a broken one that isn't asked for", "-run ^a$", []promise{holds, broken}, 0, []string{"holds"}},
		{"could not be tried", "", []promise{fixed("a", finding{}, errors.New("no disk"))}, 2, []string{"error: a: no disk"}},
		{"no such promise", "-run x", []promise{holds}, 2, []string{`-run "x" matches none of: a`}},
		{"bad pattern", "-run (", []promise{holds}, 2, []string{"error: -run: "}},
		{"no time", "-seconds 0", []promise{holds}, 2, []string{"-seconds 0: want 1 or more"}},
		{"a stray word", "claims", []promise{holds}, 2, []string{`"claims": want flags only`}},
		{"unknown flag", "-x", []promise{holds}, 2, []string{"-x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), strings.Fields(test.args), test.promises, &out, &out)
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

// What was killed too rarely is broken, whatever else was found.
func TestTally(t *testing.T) {
	least := tally{kills: 10, inside: 4, again: 2}
	for _, test := range []struct {
		got    tally
		broken int
	}{
		{tally{10, 4, 2}, 0}, {tally{9, 4, 2}, 1}, {tally{10, 3, 2}, 1}, {tally{10, 4, 1}, 1}, {tally{}, 3},
	} {
		var f finding
		if f.wants("it", test.got, least); len(f.broken) != test.broken {
			t.Errorf("%+v: %q, want %d", test.got, f.broken, test.broken)
		}
	}
}

// A kill counts as one inside an operation by what is on record.
func TestUnderway(t *testing.T) {
	began, ended := happening{Event: "begin", Key: "a"}, happening{Event: "end", Key: "a"}
	for _, test := range []struct {
		recorded []happening
		want     bool
	}{
		{nil, false},
		{[]happening{{Event: "run"}, began}, true},
		{[]happening{{Event: "run"}, began, ended}, false},
		{[]happening{{Event: "run"}, began, {Event: "resume"}}, false},
		{[]happening{began, ended, {Event: "undoing", Key: "a"}}, true},
		{[]happening{began, ended, {Event: "undoing", Key: "a"}, {Event: "undo", Key: "a"}}, false},
	} {
		if got := underway(test.recorded); got != test.want {
			t.Errorf("%+v: got %v", test.recorded, got)
		}
	}
}

// Each row but that of the seeded faults has a judge that is shown to find one.
func TestEveryRowIsSeeded(t *testing.T) {
	seeded := map[string]bool{"seeded": true}
	for _, s := range new(lab).seeds() {
		seeded[s.row] = true
	}
	for _, p := range promises() {
		if !seeded[p.name] {
			t.Errorf("nothing shows that the row %s can be broken", p.name)
		}
		delete(seeded, p.name)
	}
	for row := range seeded {
		t.Errorf("faults are seeded for %s, which is no row", row)
	}
}

// history is operations of which each has ended before the next begins.
func history(ops ...porcupine.Operation) []porcupine.Operation {
	for i := range ops {
		ops[i].ClientId, ops[i].Call, ops[i].Return = i, int64(10*i), int64(10*i+5)
	}
	return ops
}

func op(in call, out answer) porcupine.Operation { return porcupine.Operation{Input: in, Output: out} }

func claimed(tree, slot int, token string) porcupine.Operation {
	return op(call{Kind: kindClaim, Tree: tree, Least: profiles[0]}, answer{Outcome: done, Slot: slot, Token: token})
}

func released(slot int, token, outcome string) porcupine.Operation {
	return op(call{Kind: kindRelease, Slot: slot, Token: token}, answer{Outcome: outcome})
}

func listed(holders ...int) porcupine.Operation {
	out := answer{Outcome: done}
	copy(out.Holders[:], holders)
	return op(call{Kind: kindList}, out)
}

func killed(o porcupine.Operation) porcupine.Operation {
	o.Output = answer{Outcome: unknown}
	return o
}

func renewed(tree, slot int, token string) porcupine.Operation {
	o := claimed(tree, slot, token)
	o.Output = answer{Outcome: done, Slot: slot, Token: token, Renewed: true}
	return o
}

func TestModel(t *testing.T) {
	large := len(contested)
	full := func(more ...porcupine.Operation) []porcupine.Operation {
		var ops []porcupine.Operation
		for i := range large {
			ops = append(ops, claimed(i, i+1, fmt.Sprint("t", i)))
		}
		return history(append(ops, more...)...)
	}
	refused := op(call{Kind: kindClaim, Tree: 7, Least: profiles[0]}, answer{Outcome: noneFree})
	for _, test := range []struct {
		name string
		ops  []porcupine.Operation
		want bool
	}{
		{"claimed, listed, released", history(claimed(0, 1, "a"), listed(1), released(1, "a", done), listed()), true},
		{"two holders", history(claimed(0, 1, "a"), claimed(1, 1, "b")), false},
		{"not the first free", history(claimed(0, 2, "a")), false},
		{"a lost claim", history(claimed(0, 1, "a"), listed()), false},
		{"two slots for one", history(claimed(0, 1, "a"), claimed(0, 2, "b")), false},
		{"renewed", history(claimed(0, 1, "a"), renewed(0, 1, "a")), true},
		{"renewed under another token", history(claimed(0, 1, "a"), renewed(0, 1, "b")), false},
		{"released by a former holder", history(claimed(0, 1, "a"), released(1, "a", done), claimed(1, 1, "b"), released(1, "a", done)), false},
		{"a former holder refused", history(claimed(0, 1, "a"), released(1, "a", done), claimed(1, 1, "b"), released(1, "a", notHolder)), true},
		{"a holder refused", history(claimed(0, 1, "a"), released(1, "a", notHolder)), false},
		{"refused when full", full(refused), true},
		{"refused when one is free", full(released(1, "t0", done), refused), false},
		{"heavier than asked for, when a light one is free", history(claimed(0, large, "a")), false},
		{"killed, and has claimed", history(killed(claimed(0, 1, "")), listed(1), renewed(0, 1, "a")), true},
		{"killed, and hasn't", history(killed(claimed(0, 1, "")), claimed(1, 1, "b")), true},
		{"killed, and has claimed after its death", history(killed(claimed(0, 1, "")), listed(), listed(1)), false},
		{"killed in a release", history(claimed(0, 1, "a"), killed(released(1, "a", "")), claimed(1, 1, "b")), true},
	} {
		if problem := linearizable(test.ops, time.Minute); (problem == "") != test.want {
			t.Errorf("%s: got %q", test.name, problem)
		}
	}
}

// All losses of a few changes and files are tried, each once.
func TestLosses(t *testing.T) {
	d := &disk{changes: make([]*change, 3), files: make([]*inode, 2)}
	seen := map[string]bool{}
	d.losses(1000, nil, func(l loss) { seen[fmt.Sprint(l)] = true })
	if want := 8 * 36; len(seen) != want {
		t.Errorf("%d losses were tried, want %d", len(seen), want)
	}
}

// A change is lost until its directory is synced, and a content until its file is.
func TestDisk(t *testing.T) {
	dir, file := newDirectory(), &inode{mode: 0o600, data: []byte("content")}
	top := newDirectory()
	d := newDisk(top)
	d.entries(top)["dir"] = dir
	add := func(entries map[string]*inode) { d.add(written{change: &change{dir, entries}}) }
	contents := func() []string {
		var all []string
		d.losses(1000, nil, func(l loss) {
			content, err := d.after(l, world.NewFake())
			if err != nil {
				t.Fatal(err)
			}
			_, content, _ = strings.Cut(content, "/dir\x00\x00\x00")
			all = append(all, strings.ReplaceAll(strings.ReplaceAll(content, "\x00\x00", "="), "\x00", ""))
		})
		slices.Sort(all)
		return slices.Compact(all)
	}
	want := func(want ...string) {
		t.Helper()
		if got := contents(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	add(map[string]*inode{"new": file})
	d.add(written{grown: file, size: 7})
	want("", "/dir/new=", "/dir/new=====", "/dir/new==tent", "/dir/new=con", "/dir/new=content", "/dir/new=ontent") // pairs of zeros are =, single ones nothing
	d.add(written{synced: file})
	want("", "/dir/new=content")
	add(map[string]*inode{"new": nil, "name": file})
	want("", "/dir/name=content", "/dir/new=content")
	d.add(written{synced: dir})
	want("/dir/name=content")
	file.data = append(file.data, " more"...)
	d.add(written{grown: file, size: len(file.data)})
	want("/dir/name=content", "/dir/name=content m", "/dir/name=content more", "/dir/name=content===", "/dir/name=content=ore", "/dir/name=contentmore")
}
