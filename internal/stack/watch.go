package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
)

const (
	// pollEvery is the pause between two looks at the Engine.
	pollEvery = 200 * time.Millisecond

	// settleLooks is at how many looks in a row a container without a health check has to run
	// before it counts as up: what ends at once doesn't. Looks and not seconds, since a machine
	// under load is late both to start a process and to tell that it has ended.
	settleLooks = 8

	// maxRestarts is how often a container may end and be restarted: some services
	// start before what they need, and rely on that.
	maxRestarts = 2
)

// watch follows the containers of a stack while they start.
type watch struct {
	upper    *upper
	composed bool // Compose has done its part: what doesn't run now has failed
	gaveUp   bool // Compose has failed: what has ended since it began is why

	failed  []docker.Container // ended, unhealthy, or restarted too often
	pending []docker.Container // not up yet

	reported   map[string]docker.ServiceState
	old        map[string]bool // containers that were there before, by id
	ran        map[string]bool // containers that were seen to run
	restarts   map[string]int
	restarting map[string]bool
	now        time.Duration  // of the last look, since the machine was started
	upLooks    map[string]int // of those without a health check: looks at which they ran, in a row
}

func newWatch(u *upper, before docker.State) *watch {
	w := &watch{
		upper:      u,
		reported:   map[string]docker.ServiceState{},
		old:        map[string]bool{},
		ran:        map[string]bool{},
		restarts:   map[string]int{},
		restarting: map[string]bool{},
		upLooks:    map[string]int{},
	}
	for _, c := range before.Containers {
		w.old[c.ID] = true
	}
	return w
}

// look asks the Engine, and reports the services that have changed.
func (w *watch) look(ctx context.Context) error {
	containers, err := w.upper.engine.Containers(ctx)
	if err != nil {
		return err
	}
	_, w.now, err = w.upper.world.Clock.BootTime()
	if err != nil {
		return fmt.Errorf("waiting for project %s: %w", w.upper.stack.Project, err)
	}
	w.see(w.upper.stack.of(w.upper.world, containers))
	return nil
}

func (w *watch) see(state docker.State) {
	for _, service := range state.Services {
		if w.reported[service.Service] != service {
			w.reported[service.Service] = service
			w.upper.options.Report(service)
		}
	}
	ends := map[string]bool{} // services that are to end by themselves
	for _, c := range state.Containers {
		for _, service := range c.After {
			ends[service] = true
		}
	}
	w.failed, w.pending = nil, nil
	for _, c := range state.Containers {
		switch {
		case c.OneOff, ends[c.Service] && c.Succeeded():
		case w.hasFailed(c):
			w.failed = append(w.failed, c)
		case !w.isUp(c):
			w.pending = append(w.pending, c)
		}
	}
}

// hasFailed judges a container. One that was there before may have ended long ago, or
// be stopped and started by Compose right now, so Compose is left to finish first. If it
// gives up, what ran and doesn't any more is why, not what has ended long ago.
func (w *watch) hasFailed(c docker.Container) bool {
	restarting := c.State == "restarting"
	if restarting && !w.restarting[c.ID] {
		w.restarts[c.ID]++
	}
	w.restarting[c.ID] = restarting
	if c.Running() {
		w.ran[c.ID] = true
	}
	ended := c.State == "exited" || c.State == "dead"
	restarts := w.restarts[c.ID]
	unhealthy := c.Running() && c.Health == "unhealthy"
	if w.old[c.ID] && !w.composed {
		return w.gaveUp && (ended && w.ran[c.ID] || unhealthy || restarts > 0)
	}
	return ended || unhealthy || restarts > maxRestarts || w.gaveUp && restarts > 0
}

func (w *watch) isUp(c docker.Container) bool {
	if !c.Running() {
		delete(w.upLooks, c.ID)
		return false
	}
	if c.Health != "" {
		return c.Health == "healthy"
	}
	w.upLooks[c.ID]++
	return w.upLooks[c.ID] >= settleLooks
}
