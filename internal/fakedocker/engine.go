// Package fakedocker is a Docker Engine with Compose on a fake machine, in memory, for
// tests: what would start containers puts them on a list, and the Engine's API shows
// that list. It plays what kinfra asks of Docker (the lists of containers, volumes and
// networks; compose config, build, up, stop, down, restart, logs and exec; removing
// containers and volumes), and refuses the rest, so that a test can't pass by what nobody
// has played. All images are there, and there are no networks.
package fakedocker

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/world"
)

// Engine is a Docker Engine on a fake machine. Its methods may be called by several
// goroutines at once.
type Engine struct {
	machine *world.Fake

	mu         sync.Mutex // guards what follows
	stopped    bool
	outcomes   map[string]Outcome // by service
	containers []Container
	volumes    []Volume
	made       int // containers so far, for their ids
}

// State is how a container is, in the words of a test.
type State string

// The states of a container.
const (
	Healthy    State = "healthy"    // runs, and its health check passes
	Running    State = "running"    // runs, and has no health check
	Starting   State = "starting"   // runs, and its health check hasn't passed yet
	Unhealthy  State = "unhealthy"  // runs, and its health check fails
	Restarting State = "restarting" // ends again and again
	Exited     State = "exited"     // has ended
)

// States are all of them.
func States() []State { return []State{Healthy, Running, Starting, Unhealthy, Restarting, Exited} }

// Outcome is what becomes of the containers of a service when Compose starts them.
type Outcome struct {
	State State
	Code  int    // with which one that is Exited or Restarting has ended
	Logs  string // what it printed
}

// Container is a container of the Engine.
type Container struct {
	ID      string
	Name    string
	Project string
	Service string
	Dir     string // the project's directory
	Outcome
	Ports   []compose.Port
	Volumes []string // names of those that it uses
}

// Volume is a volume of the Engine.
type Volume struct {
	Name      string
	Project   string // of Compose; empty if Compose didn't make it
	CreatedAt time.Time
}

// Install puts an Engine on a machine, with the docker command and its plugin Compose.
// The machine's processes are to be handed to [Engine.Run].
func Install(machine *world.Fake) *Engine {
	e := &Engine{machine: machine, outcomes: map[string]Outcome{}}
	for _, program := range []string{"/usr/bin/docker", "/usr/libexec/docker/cli-plugins/docker-compose"} {
		machine.Write(program, nil)
		machine.Alter(program, func(i *world.Info) { i.Mode = 0o755 })
	}
	machine.Answer = e.answer
	machine.Pause = time.Millisecond // Compose runs beside what waits for it
	return e
}

// Stop ends the Engine, or, with false, starts it again. Its containers stay.
func (e *Engine) Stop(stop bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = stop
}

// Expect says what becomes of a service's containers from the next start on.
func (e *Engine) Expect(service string, o Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outcomes[service] = o
}

// Put makes a container, or puts it in the place of the one of that name.
func (e *Engine) Put(c Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(c)
}

func (e *Engine) put(c Container) {
	e.made++
	c.ID = fmt.Sprintf("%012x", e.made)
	e.remove(func(other Container) bool { return other.Name == c.Name })
	e.containers = append(e.containers, c)
	e.listen(c, c.State != Exited)
}

// remove removes the containers that match, and frees their ports.
func (e *Engine) remove(match func(Container) bool) {
	e.containers = slices.DeleteFunc(e.containers, func(c Container) bool {
		if !match(c) {
			return false
		}
		e.listen(c, false)
		return true
	})
}

// listen has the machine's ports of a container taken, or free.
func (e *Engine) listen(c Container, taken bool) {
	for _, p := range c.Ports {
		e.machine.Listen(fmt.Sprintf("127.0.0.1:%d", p.Published), taken)
	}
}

// Containers are those that there are, in the order in which they were made.
func (e *Engine) Containers() []Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.containers)
}

// Volumes are those that there are, in the order in which they were made.
func (e *Engine) Volumes() []Volume {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.volumes)
}

// PutVolume makes a volume, unless there is one of that name.
func (e *Engine) PutVolume(v Volume) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.putVolume(v)
}

func (e *Engine) putVolume(v Volume) {
	if !slices.ContainsFunc(e.volumes, func(other Volume) bool { return other.Name == v.Name }) {
		e.volumes = append(e.volumes, v)
	}
}

// answer is what the Engine's socket answers.
func (e *Engine) answer(_ context.Context, req world.Request) ([]byte, error) {
	e.mu.Lock()
	stopped := e.stopped
	e.mu.Unlock()
	switch {
	case stopped:
		return nil, fmt.Errorf("connecting to %s: %w", req.Address, fs.ErrNotExist)
	case req.Network != "unix":
		return nil, fmt.Errorf("connecting to %s: %w", req.Address, syscall.ECONNREFUSED)
	}
	return e.serve(req.Body)
}
