package worldtest_test

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestStandIns: what stands in for a role without a method of a test's own is that role.
func TestStandIns(t *testing.T) {
	worldtest.CheckGate(t, worldtest.Gate{Wrap: func(w world.World) world.World {
		return world.World{
			Disk: worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
				return worldtest.Files{Files: files, OnAppend: func(name string) (world.Appender, error) {
					a, err := files.Append(name)
					return worldtest.Appender{Appender: a}, err
				}}
			}},
			Processes: worldtest.Processes{Processes: w.Processes},
			Services:  worldtest.Services{Services: w.Services},
			Clock:     worldtest.Clock{Clock: w.Clock},
			Env:       worldtest.Environment{Environment: w.Env},
		}
	}})
}
