// Package builtins is what kinfra's scripts can call beside the engine's own: the
// pool, its slots, its registry, compose files, and the machine around them. Each
// module stands in a file of its own and is declared as a table, from which its
// reference comes; a function here unpacks its arguments, calls one plain function
// of the domain and converts what that returns.
package builtins

import (
	"sync/atomic"

	"github.com/ktrdr/kinfra/engine/table"
)

// Options is what the command line decides about the builtins.
type Options struct {
	// Root is the pool's root directory, of --root (then absolute, unless it can't be
	// told what it is relative to) or of KINFRA_ROOT (as it is); empty for what the
	// pool says.
	Root     string
	RootFlag string // the root of --root alone; empty if it wasn't given

	// Globals are the global flags that a kinfra started by a script gets, so
	// that it sees the same layers.
	Globals []string

	Version string // of the binary

	// PoolsDir is where the list of this machine's pools is kept; empty for nowhere.
	PoolsDir string

	Project Project

	// Source says where pool.star is from: its file, and the directory of the project
	// that brings it along; each empty if there is none. It may be nil.
	Source func() (file, project string)
}

func (o Options) source() (file, project string) {
	if o.Source == nil {
		return "", ""
	}
	return o.Source()
}

// Modules is the tables of all builtins, for one run.
func Modules(o Options) []table.Module {
	d := &domain{options: o}
	return []table.Module{
		ruleModule(), d.slotModule(), poolMethods(), d.registryModule(), d.claimModule(), d.stackModule(), d.portsModule(), d.poolsModule(), composeModule(),
		fsModule(), pathModule(), envModule(), procModule(), d.kinfraModule(), textModule(),
	}
}

// domain is what the modules that work on the pool share.
type domain struct {
	options Options
	pool    atomic.Pointer[Pool] // of pool.star, once it was asked for
}
