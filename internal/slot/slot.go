// Package slot makes, repairs, refreshes and removes the slots of a pool: their
// directories, and their entries in the registry.
//
// A slot's directory follows from its number alone; what a registry says of it is
// compared, never followed. In it kinfra owns three names (see [Spec]); other
// files there are none of its business.
//
// Everything happens under the registry's lock, and in an order such that a
// process that is killed, or a power that fails, leaves nothing that the next
// [Ensure] doesn't complete: each step says why it comes where it does.
package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/registry"
)

// The names below the root and in a slot's directory.
const (
	poolDir     = "sandboxes"
	dirPrefix   = "slot-" // then the number
	envName     = ".env.sandbox"
	linkName    = ".env" // a link to envName, for a plain "docker compose up" in the directory
	composeName = "docker-compose.yml"
)

// EnvName is the name of the file with a slot's variables: in the slot's directory,
// and of its copy in the worktree that holds the slot.
const EnvName = envName

// ComposeName is the name of a slot's compose file, in the slot's directory.
const ComposeName = composeName

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

var (
	// ErrInvalid is returned for a slot that can't be what is asked of it: a number
	// out of range or given twice, a value that no file can hold.
	ErrInvalid = errors.New("invalid slot")

	// ErrBroken is returned for a slot that can't be repaired without destroying
	// what isn't kinfra's: a link or a file in place of its directory, say.
	ErrBroken = errors.New("slot can't be repaired")

	// ErrClaimed is returned for a slot that somebody holds.
	ErrClaimed = errors.New("slot is claimed")

	// ErrUnknownSlot is returned for a number that no slot of the registry has.
	ErrUnknownSlot = errors.New("no such slot")

	// ErrUnknownProfile is returned for a profile that isn't in the order.
	ErrUnknownProfile = errors.New("unknown profile")
)

// Spec is one slot as it should be.
type Spec struct {
	ID      int // 1 to registry.MaxSlot
	Profile string
	Workers []registry.Count
	Ports   []registry.Count
	Env     map[string]string // the variables of .env.sandbox
	Compose []byte            // the content of docker-compose.yml
}

// Action says what became of a slot.
type Action string

// What can become of a slot.
const (
	Created   Action = "created"
	Skipped   Action = "skipped"   // it agrees already
	Repaired  Action = "repaired"  // what was missing was completed
	Refreshed Action = "refreshed" // what differed was brought into line
	Drifted   Action = "drifted"   // it differs, and was left as it is
	Removed   Action = "removed"
)

// Result says what became of one slot, and what it is now.
type Result struct {
	ID        int
	Profile   string
	Dir       string // its directory, absolute
	Action    Action
	Reasons   []string     // why it was repaired: "docker-compose.yml was missing"
	Drift     []Difference // in what it differs (Drifted), or differed (Refreshed)
	ClaimedBy string       // who holds it; empty if nobody does
	Workers   []registry.Count
	Ports     []registry.Count
}

// Holder is who holds a slot.
type Holder struct{ Worktree, Since string } // as the registry has them

// String is who holds it, and since when, if that is known.
func (h Holder) String() string {
	if h.Since == "" {
		return registry.Shown(h.Worktree)
	}
	return registry.Shown(h.Worktree) + " since " + registry.Shown(h.Since)
}

// Difference is one point in which a slot isn't what it should be.
type Difference struct {
	Field string // "profile", "workers.backtest", "ports.api", "docker-compose.yml", ".env.sandbox KTRDR_API_PORT"
	Have  string
	Want  string
}

// Dir is the directory of a slot below the pool's root.
func Dir(root string, id int) string {
	return filepath.Join(root, filepath.FromSlash(dirName(id)))
}

// dirName is the directory of a slot, relative to the root.
func dirName(id int) string { return path.Join(poolDir, dirPrefix+strconv.Itoa(id)) }

// target is a Spec with what follows from it.
type target struct {
	Spec
	entry registry.Slot // as the registry should have it
	dir   string        // relative to the root
	env   []byte        // the content of .env.sandbox
}

// targets checks the specs as a whole before anything is written.
func targets(root string, specs []Spec) ([]*target, error) {
	if !utf8.ValidString(root) {
		return nil, fmt.Errorf("%w: the root %q is not UTF-8, so the registry can't name a directory in it", ErrInvalid, root)
	}
	all := make([]*target, len(specs))
	seen := make(map[int]bool, len(specs))
	for i, spec := range specs {
		if seen[spec.ID] {
			return nil, fmt.Errorf("%w: slot %d is given twice", ErrInvalid, spec.ID)
		}
		seen[spec.ID] = true
		t := &target{Spec: spec, dir: dirName(spec.ID)}
		t.entry = registry.Slot{ID: spec.ID, Path: Dir(root, spec.ID), Profile: spec.Profile, Workers: spec.Workers, Ports: spec.Ports}
		if err := t.entry.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if spec.Profile == "" {
			return nil, fmt.Errorf("%w: slot %d has no profile", ErrInvalid, spec.ID)
		}
		var err error
		if t.env, err = envfile.Encode(spec.Env); err != nil {
			return nil, fmt.Errorf("%w: %s of slot %d: %w", ErrInvalid, envName, spec.ID, err)
		}
		all[i] = t
	}
	return all, nil
}

// count is the number that a name has among counts.
func count(counts []registry.Count, name string) (int, bool) {
	i := slices.IndexFunc(counts, func(c registry.Count) bool { return c.Name == name })
	if i < 0 {
		return 0, false
	}
	return counts[i].Number, true
}
