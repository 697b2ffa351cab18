package builtins

import (
	"slices"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestStarted: a process that was started reaches its machine as its starter does, and
// has the directory and the environment that it was given.
func TestStarted(t *testing.T) {
	cmd := world.Command{Dir: "/tmp", Env: []string{"A=1", "A=2"}}
	worldtest.CheckGateOn(t, worldtest.FakeMachine, worldtest.Gate{Wrap: func(w world.World) world.World { return started(w, cmd) }})

	f := world.NewFake()
	w := started(f.World(), cmd)
	dir, err := w.Env.WorkDir()
	if dir != "/tmp" || err != nil || !slices.Equal(w.Env.Environ(), cmd.Env) {
		t.Errorf("it is in %q, %v, with %q", dir, err, w.Env.Environ())
	}
	if value, ok := w.Env.Getenv("A"); value != "2" || !ok {
		t.Errorf("A is %q, %v", value, ok)
	}
	if _, ok := w.Env.Getenv("HOME"); ok {
		t.Error("it has its starter's environment")
	}
	if exe, err := w.Env.Executable(); exe != f.Exe || err != nil || w.Env.UserID() != f.User {
		t.Errorf("it is %q of user %d, %v", exe, w.Env.UserID(), err)
	}
}
