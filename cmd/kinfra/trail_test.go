package main

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// TestTrail: what a thread notes is where it is, by its goroutine; the place is free when it has
// left.
func TestTrail(t *testing.T) {
	memory := make([]byte, trailSize)
	told, leave := newTrail(memory).begin()
	thread := &starlark.Thread{}
	thread.SetMaxExecutionSteps(1)
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		told(thread)
		thread.SetMaxExecutionSteps(thread.ExecutionSteps() + 1)
	}
	if _, err := starlark.ExecFileOptions(&syntax.FileOptions{}, thread, "a.star", "x = 1\ny = 2\nz = x + y\n", nil); err != nil {
		t.Fatal(err)
	}
	all := marks(memory)
	if len(all) != 1 || all[0].goroutine != goroutineID() || all[0].position().String() != "a.star:3:7" {
		t.Errorf("the marks are %+v", all)
	}
	leave()
	if left := marks(memory); len(left) > 0 {
		t.Errorf("left are %+v", left)
	}
}

// TestTrailOfMany: each thread has a place of its own while there are any; a long name is cut.
func TestTrailOfMany(t *testing.T) {
	memory := make([]byte, 2*placeSize)
	trail := newTrail(memory)
	name := strings.Repeat("x", 2*placeSize)
	for range 2 {
		place := trail.take(7)
		if place == nil {
			t.Fatal("there is no place")
		}
		note(place, syntax.MakePosition(&name, 3, 4))
	}
	if told, leave := trail.begin(); told != nil || leave == nil {
		t.Error("a third thread has a place")
	}
	all := marks(memory)
	if len(all) != 2 || all[1].line != 3 || all[1].column != 4 || len(all[1].file) != placeSize-placeHead {
		t.Errorf("the marks are %+v", all)
	}
}

func TestCrash(t *testing.T) {
	const trace = "fatal error: runtime: out of memory\n\ngoroutine 7 gp=0xc000 [GC worker]:\n\ngoroutine 34 gp=0xc001 m=3 mp=0xc002 [running]:\nx()\n"
	c := crash{[]byte(trace)}
	if !c.fatal() || !c.ofMemory() || c.goroutine() != 34 {
		t.Errorf("fatal %t, of memory %t, in %d", c.fatal(), c.ofMemory(), c.goroutine())
	}
	for _, text := range []string{"", "gc 1 @0.004s 3%\n"} {
		if c := (crash{[]byte(text)}); c.fatal() || c.ofMemory() || c.goroutine() != 0 {
			t.Errorf("%q is taken for a crash", text)
		}
	}
	if own := whereOf([]mark{{1, "a", 1, 1}, {34, "b", 2, 2}}, 34); len(own) != 1 || own[0].file != "b" {
		t.Errorf("it was at %+v", own)
	}
	if all := whereOf([]mark{{1, "a", 1, 1}, {34, "b", 2, 2}}, 0); len(all) != 2 {
		t.Errorf("it was at %+v", all)
	}
}
