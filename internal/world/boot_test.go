package world_test

import (
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// The time since the boot goes on, and only that: it is always the same boot.
func TestBootTime(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		boot, up, err := s.world.Clock.BootTime()
		worldtest.Must(t, err)
		worldtest.Must(t, s.world.Clock.Sleep(t.Context(), time.Millisecond))
		again, later, err := s.world.Clock.BootTime()
		worldtest.Must(t, err)
		if boot == "" || again != boot || later-up < time.Millisecond {
			t.Errorf("got %q, %s, then %q, %s", boot, up, again, later)
		}
	})
}

func TestFakeBootTime(t *testing.T) {
	f := world.NewFake()
	start := f.Now()
	f.Pass(time.Hour)
	f.Advance(-time.Minute) // the wall clock alone
	boot, up, err := f.BootTime()
	worldtest.Must(t, err)
	if up != time.Hour || f.Now().Sub(start) != 59*time.Minute {
		t.Errorf("up %s, and the clock has moved by %s", up, f.Now().Sub(start))
	}
	f.Reboot()
	again, up, err := f.BootTime()
	worldtest.Must(t, err)
	if again == boot || up != 0 || f.Now().Sub(start) != 59*time.Minute {
		t.Errorf("after a reboot: %q, %s, the clock has moved by %s", again, up, f.Now().Sub(start))
	}
}
