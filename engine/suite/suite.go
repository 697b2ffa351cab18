// Package suite runs the tests of scripts. A test is a function test_* without
// parameters of a file *_test.star, or one case of such a name:
//
//	def test_join():
//	    expect.equal(path.join("a", "b"), "a/b")
//
//	test_base = test.cases({
//	    "a file": ("/srv/x", "x"),
//	    "a directory": ("/srv/", "srv"),
//	}, lambda c: expect.equal(path.base(c[0]), c[1]))
//
// Each test and each case is a run of its own: all files are evaluated anew, and what
// [Suite.Setup] gives it is nobody else's. So tests run in any order and side by side.
package suite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
)

// Ending is what the names of test files end with.
const Ending = "_test.star"

// Suite is how tests run.
type Suite struct {
	// Setup makes what one run gets: a machine of its own, its output to out. Module
	// has to be among its modules.
	Setup func(ctx context.Context, out io.Writer) *engine.Config

	// Clock is the time of this machine, for how long tests take.
	Clock func() time.Time
}

// Test is a test of a file.
type Test struct {
	File     layer.File
	Function string
	Case     string // "" for a function without cases
	line     int32
}

// Name is what tells the test from others of its file: "test_base/a file".
func (t Test) Name() string {
	if t.Case == "" {
		return t.Function
	}
	return t.Function + "/" + t.Case
}

// FullName is what tells the test from all others: "pool_test.star:test_base/a file".
func (t Test) FullName() string { return t.File.Path() + ":" + t.Name() }

// Result is how a test ended.
type Result struct {
	Test
	Err     error
	Problem []diag.Diagnostic // of Err
	Output  string            // what the test printed, and the steps that it did
	Took    time.Duration
}

// Found is the tests of a file, in its order; or why there are none.
type Found struct {
	File    layer.File
	Tests   []Test
	Err     error
	Sources diag.Sources // of Err
}

// Find evaluates a file to see which tests it has.
func (s *Suite) Find(ctx context.Context, file layer.File) Found {
	config := s.Setup(ctx, io.Discard)
	config.Coverage = engine.Coverage{} // only tests count
	run := engine.NewRun(ctx, config)
	defer run.Close()
	found := Found{File: file, Sources: run.Source}
	if _, found.Err = run.Load(file, false); found.Err != nil {
		return found
	}
	for name, v := range run.Globals() {
		if !strings.HasPrefix(name, "test_") {
			continue
		}
		tests, err := testsOf(file, name, v)
		found.Tests, found.Err = append(found.Tests, tests...), errors.Join(found.Err, err)
	}
	slices.SortStableFunc(found.Tests, func(a, b Test) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.Function, b.Function))
	})
	return found
}

// testsOf is the tests that a name of a file stands for.
func testsOf(file layer.File, name string, v starlark.Value) ([]Test, error) {
	switch v := v.(type) {
	case *Cases:
		tests := make([]Test, len(v.names))
		for i, c := range v.names {
			tests[i] = Test{file, name, c, v.position.Line}
		}
		return tests, nil
	case *starlark.Function:
		if v.NumParams() > 0 {
			return nil, usageAt(v.Position(), fmt.Sprintf("%s has parameters, so it can't be called as a test", name),
				"a test has none; test.cases calls a function with each of several values")
		}
		return []Test{{file, name, "", v.Position().Line}}, nil
	}
	return nil, engine.UsageError("a name that begins with test_ is that of a test", "%s: %s is a %s: want a function, or test.cases(…)", file.Path(), name, v.Type())
}

func usageAt(pos syntax.Position, message, hint string) error {
	return &engine.Error{Code: engine.Usage, Message: message, Next: hint, At: []syntax.Position{pos}}
}

// Run runs tests side by side, and tells the results in the order of the tests. When
// ctx ends, those that have not begun are left out.
func (s *Suite) Run(ctx context.Context, tests []Test, tell func(Result)) {
	inOrder(ctx, tests, s.run, tell)
}

// FindAll is Find of several files side by side, in their order.
func (s *Suite) FindAll(ctx context.Context, files []layer.File, tell func(Found)) {
	inOrder(ctx, files, s.Find, tell)
}

// inOrder calls work for all items, as many at once as there are processors, and tell
// with the results in the order of the items.
func inOrder[T, R any](ctx context.Context, items []T, work func(context.Context, T) R, tell func(R)) {
	results := make([]chan R, len(items))
	for i := range results {
		results[i] = make(chan R, 1)
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		workers.Go(func() {
			for i := range next {
				results[i] <- work(ctx, items[i])
			}
		})
	}
	go func() {
		defer close(next)
		for i := range items {
			if ctx.Err() != nil {
				for ; i < len(items); i++ {
					close(results[i])
				}
				return
			}
			next <- i
		}
	}()
	for _, result := range results {
		r, ran := <-result
		if !ran {
			return
		}
		tell(r)
	}
}

// run runs one test.
func (s *Suite) run(ctx context.Context, t Test) Result {
	var out bytes.Buffer
	run := engine.NewRun(ctx, s.Setup(ctx, &out))
	defer run.Close()
	began := s.Clock()
	_, err := run.Load(t.File, false)
	if err == nil {
		err = s.call(run, t)
	}
	r := Result{Test: t, Err: err, Output: out.String(), Took: s.Clock().Sub(began)}
	if err != nil {
		r.Problem = run.Problems(err)
	}
	return r
}

// call calls a test's function, or the one of its cases with the value of the case.
func (s *Suite) call(run *engine.Run, t Test) error {
	switch v := run.Globals()[t.Function].(type) {
	case *Cases:
		if value, there, _ := v.values.Get(starlark.String(t.Case)); there {
			return run.Call(v.run, value)
		}
	case *starlark.Function:
		if t.Case == "" {
			return run.Call(v)
		}
	}
	return fmt.Errorf("%s was there when the file was first loaded, and isn't now", t.Name())
}
