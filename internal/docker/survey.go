package docker

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// Expected is a stack as it would be if it ran.
type Expected struct {
	Project  string
	Services map[string]int // how many containers of each; nil if that isn't known

	// Restarted are the services that the Engine restarts whatever they end with: a
	// container of one that has ended was stopped.
	Restarted map[string]bool
}

// Done tells whether a container has done what it was for, and has ended: with exit code
// 0, and isn't restarted.
func (e Expected) Done(c Container) bool { return c.Succeeded() && !e.Restarted[c.Service] }

// Status says how a stack, or one of its services, is.
type Status string

// What a stack can be. The first that applies counts.
const (
	Unhealthy Status = "unhealthy" // a health check fails, or a container ends again and again
	Stopped   Status = "stopped"   // none of its containers runs
	Starting  Status = "starting"  // a container is being started, or its health check hasn't passed yet
	Partial   Status = "partial"   // some containers run, others don't
	Running   Status = "running"   // all that aren't done run, and those with a health check are healthy
)

// Done is what only a service can be: all of its containers are done.
const Done Status = "done"

// State is a stack as it is.
type State struct {
	Project  string
	Status   Status
	Up       int            // containers that run or are done
	Want     int            // containers that it should have
	Services []ServiceState // sorted by name

	// Containers are the stack's own. Those that `compose run` made are among them,
	// but don't count above.
	Containers []Container

	// InTheWay are containers under the project's name that are of another root, or
	// of no pool: never to be stopped, counted or shown as this stack's.
	InTheWay []Container
}

// ServiceState is a service of a stack as it is.
type ServiceState struct {
	Service string
	Status  Status
	Up      int
	Want    int
}

// Survey sorts the containers of an Engine by the stacks of the pool at root. strays
// are those of this root whose project is none of the stacks.
//
// A container belongs to a stack when its labels name the stack's project, and a
// directory or a file below root, symbolic links resolved.
func Survey(w world.World, root string, containers []Container, stacks []Expected) (states []State, strays []Container) {
	owner := owner{w.Disk.Host(), root, world.Resolve(w.Disk.Host(), root), map[string]bool{}}
	index := make(map[string]int, len(stacks))
	states = make([]State, len(stacks))
	for i, stack := range stacks {
		index[stack.Project] = i
		states[i].Project = stack.Project
	}
	for _, c := range containers {
		i, known := index[c.Project]
		switch own := c.Project != "" && owner.owns(c); {
		case known && own:
			states[i].Containers = append(states[i].Containers, c)
		case known:
			states[i].InTheWay = append(states[i].InTheWay, c)
		case own:
			strays = append(strays, c)
		}
	}
	for i, stack := range stacks {
		states[i].judge(stack)
	}
	return states, strays
}

// owner tells which containers are those of a root.
type owner struct {
	files    world.Files
	root     string
	resolved string
	known    map[string]bool // whether a path is below the root: containers share theirs
}

func (o owner) owns(c Container) bool {
	return o.has(c.Dir) || slices.ContainsFunc(c.Files, o.has)
}

// has tells whether path is below the root. Links are looked at only where the letters
// don't say so.
func (o owner) has(path string) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	if under(path, o.root) || under(path, o.resolved) {
		return true
	}
	below, known := o.known[path]
	if !known {
		below = under(world.Resolve(o.files, path), o.resolved)
		o.known[path] = below
	}
	return below
}

// under tells whether path is dir or below it.
func under(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// judge sums up the containers. Without expected services, those that have
// containers count as they are.
func (s *State) judge(expected Expected) {
	byService := map[string][]Container{}
	for name, count := range expected.Services {
		if count > 0 {
			byService[name] = nil
		}
	}
	runs := false
	for _, c := range s.Containers {
		if !c.OneOff {
			byService[c.Service] = append(byService[c.Service], c)
			runs = runs || c.Running()
		}
	}
	counts := map[Status]int{}
	for _, name := range slices.Sorted(maps.Keys(byService)) {
		want := expected.Services[name]
		if expected.Services == nil {
			want = len(byService[name])
		}
		service := expected.serviceState(name, byService[name], want)
		s.Services = append(s.Services, service)
		s.Up += service.Up
		s.Want += service.Want
		counts[service.Status]++
	}
	switch {
	case counts[Unhealthy] > 0:
		s.Status = Unhealthy
	case !runs: // what is done keeps no stack running
		s.Status = Stopped
	case counts[Starting] > 0:
		s.Status = Starting
	case s.Up < s.Want:
		s.Status = Partial
	default:
		s.Status = Running
	}
}

// serviceState sums up a service's containers.
func (e Expected) serviceState(name string, containers []Container, want int) ServiceState {
	s := ServiceState{Service: name, Want: want, Status: Stopped}
	running := 0
	starting, unhealthy := 0, 0
	for _, c := range containers {
		switch {
		case c.State == "restarting", c.Running() && c.Health == "unhealthy":
			unhealthy++
		case c.State == "running" && c.Health == "starting":
			starting++
		case c.Running():
			running++
		case e.Done(c):
			s.Up++
		}
	}
	s.Up += running
	switch {
	case unhealthy > 0:
		s.Status = Unhealthy
	case starting > 0:
		s.Status = Starting
	case s.Up > 0 && s.Up >= want && running == 0:
		s.Status = Done
	case s.Up > 0 && s.Up >= want:
		s.Status = Running
	case s.Up > 0:
		s.Status = Partial
	}
	return s
}

// Running tells whether the container's process runs.
func (c Container) Running() bool { return c.State == "running" }

// Succeeded tells whether the container has ended with exit code 0.
func (c Container) Succeeded() bool {
	return c.State == "exited" && strings.HasPrefix(c.Status, "Exited (0)")
}
