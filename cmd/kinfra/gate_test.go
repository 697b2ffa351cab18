package main

import (
	"testing"

	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/terminaltest"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestWorldsOfTheCommand: what lies over this machine while a command runs keeps nothing
// from it, and adds nothing to what a dry run may do.
func TestWorldsOfTheCommand(t *testing.T) {
	screen := terminaltest.New(80, 24, true)
	live := &present.Live{
		Plain: present.Plain{Announcements: screen, Progress: screen}, Terminal: screen,
		Size: func() (int, int) { return 80, 24 }, Watch: func() func() { return func() {} },
	}
	var never *interruption
	over := func(w world.World) world.World { return lend(never.of(w), live) }
	worldtest.CheckGateOn(t, worldtest.FakeMachine, worldtest.Gate{Wrap: over})
	if !over(world.Planned(world.NewFake().World())).Planned() {
		t.Error("a dry run has become a real one")
	}
}
