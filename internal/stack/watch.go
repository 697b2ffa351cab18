package stack

import (
	"context"
	"slices"
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
	// start before what they need, and rely on that. So while another is still getting
	// ready, it may be restarted more often.
	maxRestarts = 2
)

// watch follows the containers of a stack while they start.
type watch struct {
	upper     *upper
	composing bool // Compose is at work
	composed  bool // Compose has done its part: what doesn't run now has failed
	gaveUp    bool // Compose has failed for good: what has ended since it began is why

	failed  []docker.Container // ended, or restarted too often
	pending []docker.Container // not up yet

	awaited string // the container for whose health Compose has given up
	ailing  bool   // it isn't healthy yet

	reported map[string]docker.ServiceState
	old      map[string]bool // containers that were there before, by id
	lives    map[string]*life
}

// life is what was seen of a container.
type life struct {
	ran          bool
	upLooks      int // without a health check: looks at which it ran, in a row
	restarting   bool
	restarts     int
	lastRestarts int // since no other was getting ready any more
}

func newWatch(u *upper, before docker.State) *watch {
	w := &watch{
		upper:     u,
		composing: true,
		reported:  map[string]docker.ServiceState{},
		old:       map[string]bool{},
		lives:     map[string]*life{},
	}
	for _, c := range before.Containers {
		w.old[c.ID] = true
	}
	return w
}

// look asks the Engine, and reports the services that have changed.
func (w *watch) look(ctx context.Context) error {
	return w.upper.patiently(ctx, func(ctx context.Context) error {
		containers, err := w.upper.engine.Containers(ctx)
		if err == nil {
			w.see(w.upper.state(containers))
		}
		return err
	})
}

func (w *watch) see(state docker.State) {
	for _, service := range state.Services {
		if w.reported[service.Service] != service {
			w.reported[service.Service] = service
			w.upper.options.Report(service)
		}
	}
	expected := w.upper.expected()
	containers := slices.DeleteFunc(slices.Clone(state.Containers), func(c docker.Container) bool {
		return c.OneOff || expected.Done(c)
	})
	w.note(containers)
	w.failed, w.pending = nil, nil
	for _, c := range containers {
		switch {
		case w.hasFailed(c):
			w.failed = append(w.failed, c)
		case !w.isUp(c):
			w.pending = append(w.pending, c)
		}
	}
}

// note takes down what has become of the containers since the last look.
func (w *watch) note(containers []docker.Container) {
	getsReady := false
	w.ailing = false
	for _, c := range containers {
		l := w.lives[c.ID]
		if l == nil {
			l = &life{}
			w.lives[c.ID] = l
		}
		restarting := c.State == "restarting"
		if restarting && !l.restarting {
			l.restarts++
			l.lastRestarts++
		}
		l.restarting = restarting
		l.ran = l.ran || c.Running()
		if c.Running() {
			l.upLooks++
		} else {
			l.upLooks = 0
		}
		w.ailing = w.ailing || c.Name == w.awaited && !w.isUp(c)
		// What is itself restarted doesn't count, nor, once Compose has given up on a
		// container, what it hasn't started: that waits, perhaps for what is restarted.
		getsReady = getsReady || l.restarts == 0 && !w.isUp(c) && (c.Running() || w.composing && w.awaited == "")
	}
	if getsReady {
		for _, l := range w.lives {
			l.lastRestarts = 0
		}
	}
}

// hasFailed tells whether a container can't get up any more. "Unhealthy" isn't final: the
// first start of a database may take longer than its health check has patience. One that was
// there before may have ended long ago, or be stopped and started by Compose right now, so
// Compose is left to finish first. If it gives up, what ran and doesn't any more is why, not
// what has ended long ago.
func (w *watch) hasFailed(c docker.Container) bool {
	l := w.lives[c.ID]
	ended := c.State == "exited" || c.State == "dead"
	if w.old[c.ID] && !w.composed {
		if w.composing {
			return false
		}
		ended = ended && l.ran
	}
	return ended || l.crashes() || w.gaveUp && (l.restarts > 0 || c.Name == w.awaited)
}

// crashes tells whether a container has been restarted too often. The first of the last
// restarts may be of a life that began when another wasn't ready yet.
func (l *life) crashes() bool { return l.restarts > maxRestarts && l.lastRestarts > 1 }

func (w *watch) isUp(c docker.Container) bool {
	if !c.Running() || c.Health != "" {
		return c.Running() && c.Health == "healthy"
	}
	return w.lives[c.ID].upLooks >= settleLooks
}
