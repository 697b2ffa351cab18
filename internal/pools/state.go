package pools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
)

// State is a listed pool with what its registry says.
type State struct {
	Pool
	Gone    bool // there is no registry below its root any more
	Slots   []registry.Slot
	Problem error // why the registry can't be read
}

// Claimed is how many of its slots somebody holds.
func (s State) Claimed() int {
	n := 0
	for _, one := range s.Slots {
		if one.ClaimedBy != "" {
			n++
		}
	}
	return n
}

// States is All with what the pools' registries say. It changes nothing.
func (l *List) States(ctx context.Context) (states []State, problems []error) {
	all, problems := l.All()
	for _, p := range all {
		states = append(states, l.state(ctx, p))
	}
	return states, problems
}

// Others is States but for the pool at a root.
func (l *List) Others(ctx context.Context, root string) (states []State, problems []error) {
	all, problems := l.All()
	for _, p := range all {
		if !l.Same(p.Root, root) {
			states = append(states, l.state(ctx, p))
		}
	}
	return states, problems
}

func (l *List) state(ctx context.Context, p Pool) State {
	s := State{Pool: p, Gone: l.gone(p)}
	if s.Gone {
		return s
	}
	reg, err := registry.Open(l.w, p.Root).Load(ctx)
	if err != nil {
		s.Problem = err
		return s
	}
	s.Slots = reg.Slots()
	return s
}

// gone tells whether a pool has no registry any more.
func (l *List) gone(p Pool) bool {
	_, err := l.w.Disk.Host().Lstat(filepath.Join(p.Root, filepath.FromSlash(registry.File)))
	return errors.Is(err, fs.ErrNotExist)
}

// PortClaims is the ports that the pool has registered.
func (s State) PortClaims() []ports.Claim {
	var all []ports.Claim
	for _, one := range s.Slots {
		for _, port := range one.Ports {
			all = append(all, ports.Claim{Owner: s.Owner(one.ID), Name: port.Name, Number: port.Number, Foreign: true})
		}
	}
	return all
}

// Owner is how messages name a slot of the pool.
func (s State) Owner(slot int) string {
	return fmt.Sprintf("slot %d of pool %q at %s", slot, s.Name, s.Root)
}

// ErrProjectTaken is returned where two pools would use one Compose project. The
// error is a [*ProjectTakenError].
var ErrProjectTaken = errors.New("compose project is another pool's")

// ProjectTakenError says which Compose project two pools would use.
type ProjectTakenError struct {
	Project string
	Slot    int    // of the pool at hand
	Owner   string // the other pool's slot, as State.Owner names it
}

func (e *ProjectTakenError) Error() string {
	return fmt.Sprintf("slot %d would be the Compose project %q, which is that of %s", e.Slot, e.Project, e.Owner)
}

// Is makes it an ErrProjectTaken.
func (e *ProjectTakenError) Is(target error) bool { return target == ErrProjectTaken }

// CheckProjects tells whether a slot's Compose project is that of another pool's
// slot. projects has the name for each slot's number.
func CheckProjects(others []State, projects map[int]string) error {
	slotOf := make(map[string]int, len(projects))
	for id, name := range projects {
		slotOf[name] = id
	}
	for _, other := range others {
		for _, one := range other.Slots {
			name := strings.Replace(other.Project, "%d", strconv.Itoa(one.ID), 1)
			if id, taken := slotOf[name]; taken {
				return &ProjectTakenError{Project: name, Slot: id, Owner: other.Owner(one.ID)}
			}
		}
	}
	return nil
}

// ErrRootTaken is returned for a root that is another project's pool. The error is a
// [*RootTakenError].
var ErrRootTaken = errors.New("root is another pool's")

// RootTakenError says whose root a pool would get.
type RootTakenError struct{ Pool, Other Pool }

func (e *RootTakenError) Error() string {
	from := ""
	if e.Other.ProjectDir != "" {
		from = " of " + e.Other.ProjectDir
	}
	return fmt.Sprintf("the root %s of pool %q is that of the pool %q%s", e.Pool.Root, e.Pool.Name, e.Other.Name, from)
}

// Is makes it an ErrRootTaken.
func (e *RootTakenError) Is(target error) bool { return target == ErrRootTaken }

// CheckRoot tells whether the root of a pool is that of a pool with another name that
// another project brings along. Under its own name a pool may come from elsewhere: from
// another worktree, or as a copy of one's own.
func (l *List) CheckRoot(p Pool) error {
	all, _ := l.All()
	for _, other := range all {
		if other.Name != p.Name && other.ProjectDir != p.ProjectDir && l.Same(other.Root, p.Root) && !l.gone(other) {
			return &RootTakenError{p, other}
		}
	}
	return nil
}
