// Package lifecycle is what the holder of a slot does with it: start its stack, stop
// it, and give the slot back. It puts together who holds a slot (package claim) and
// what runs in it (package stack), and has the order that keeps both true:
//
//   - each operation holds the slot's guard from the look at the claim's token to the
//     end of the last container, so that a former holder can't stop the next one's;
//   - a slot is released once nothing of it runs any more and its volumes are gone,
//     never before: a failure in between leaves it claimed, and the release can be
//     tried again;
//   - whose volumes a slot has, and which ones were made for it, is noted before they are
//     first written to. A start under another claim begins with clean ones. No volume is
//     removed of which it isn't certain that it was made for the slot.
package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

// Definition is what the pool says about the stacks of its slots.
type Definition struct {
	Root    string
	Project string                   // the Compose project of slot %d
	Mounts  map[string][]stack.Mount // what of the worktree each service sees
	Pass    []string                 // variables of the caller's environment that reach the stack
	Shared  []string                 // directories below the root that the stacks have in common
	Secrets map[string]secret.Ref    // variables that reach the stack, and stand in no file

	// Conceal is told the secrets when they are read; it must be there where there are any.
	Conceal secret.Conceal
	Masks   *mask.Set // the values that must not show, those of the secrets among them once they are read; nil: none

	// ProjectDir is the directory in the holder's worktree that relative paths of the
	// compose file lead to, "." for the worktree itself. Then a start builds the images
	// from there, and a file .env in it gives variables, too, as for Compose alone.
	// Empty: such paths lead to the slot's directory.
	ProjectDir string
}

// Manager works on the slots of one pool. It is for one goroutine at a time.
type Manager struct {
	w      world.World
	def    Definition
	claims *claim.Pool
	parsed map[string]*compose.File // by their text

	// Tell is told what stays that its user may not expect: what an interruption has left
	// running, volumes of others; may be nil.
	Tell func(string)
}

// New returns the manager of a pool.
func New(w world.World, def Definition, claims *claim.Pool) *Manager {
	return &Manager{w: w, def: def, claims: claims, parsed: map[string]*compose.File{}}
}

// projectName is the variable by which Compose knows a project's name.
const projectName = "COMPOSE_PROJECT_NAME"

// Project is the Compose project of a slot: the one that its own variables name, so
// that what was started is found again when the scripts have another name for it, or
// that of the pool's definition.
func (m *Manager) Project(id int) string {
	if env, err := m.variables(id); err == nil && env[projectName] != "" {
		return env[projectName]
	}
	return m.defined(id)
}

// defined is the Compose project of a slot as the pool's definition has it.
func (m *Manager) defined(id int) string { return fmt.Sprintf(m.def.Project, id) }

// Dir is the directory of a slot. It follows from the number, whatever the registry says.
func (m *Manager) Dir(id int) string { return slot.Dir(m.def.Root, id) }

// Stack is the stack of a slot for the worktree that holds it, with the override if
// there is one. The worktree may be empty, or gone.
func (m *Manager) Stack(id int, worktree string) (stack.Stack, error) {
	dir := m.Dir(id)
	s := stack.Stack{
		Root: m.def.Root, Project: m.Project(id), Dir: dir, EnvFile: filepath.Join(dir, slot.EnvName),
		Files: []string{filepath.Join(dir, slot.ComposeName)}, Pass: m.def.Pass,
		Secrets: map[string]secret.Value{}, Masks: m.def.Masks,
	}
	if own, err := m.variables(id); err == nil { // without them Compose says what is wrong
		s.Sets = slices.Sorted(maps.Keys(own))
	}
	for name := range m.def.Secrets {
		s.Secrets[name] = secret.Value{}
	}
	s.BaseDir, s.BaseEnv, _ = m.base(worktree) // what isn't there keeps nobody from stopping a stack
	s.Build = s.BaseDir != ""
	_, err := m.w.Disk.Root(dir).Lstat(stack.OverrideName)
	switch {
	case err == nil:
		s.Files = append(s.Files, filepath.Join(dir, stack.OverrideName))
	case !errors.Is(err, fs.ErrNotExist):
		return s, fmt.Errorf("slot %d: %w", id, err)
	}
	return s, nil
}

// dotEnv is the file with variables that Compose finds by itself in the directory that
// relative paths lead to.
const dotEnv = ".env"

// base is the directory in the worktree that a stack's relative paths lead to, and its
// file of variables, where that is wanted and they are there. A directory that isn't
// in the worktree is a stack.ErrMount.
func (m *Manager) base(worktree string) (dir, env string, err error) {
	if m.def.ProjectDir == "" || worktree == "" {
		return "", "", nil
	}
	dir, err = stack.Inside(m.w.Disk.Host(), worktree, m.def.ProjectDir)
	switch {
	case errors.Is(err, stack.ErrMount):
		return "", "", fmt.Errorf("the pool's project directory: %w", err)
	case err != nil:
		err := fmt.Errorf("%w: the pool's project directory %s is not in the worktree %s", stack.ErrMount, m.def.ProjectDir, worktree)
		return "", "", hint.Wrap(err, "check out a branch that has it, or change project_directory in pool.star")
	}
	env, err = stack.Inside(m.w.Disk.Host(), worktree, filepath.Join(m.def.ProjectDir, dotEnv))
	switch {
	case errors.Is(err, stack.ErrMount):
		return dir, "", fmt.Errorf("the project's variables: %w", err)
	case err != nil:
		return dir, "", nil
	}
	return dir, env, nil
}

// mostRead is the most bytes that a file of a slot may have.
const mostRead = 4 << 20

// template is the slot's compose file as it is on disk, with the slot's variables:
// what runs is what it was provisioned with, whatever the scripts say today.
func (m *Manager) template(id int) (*compose.File, map[string]string, error) {
	env, err := m.variables(id)
	if err != nil {
		return nil, nil, err
	}
	data, err := m.w.Disk.Root(m.Dir(id)).ReadFile(slot.ComposeName, mostRead)
	if err != nil {
		return nil, nil, fmt.Errorf("slot %d: %w", id, err)
	}
	for _, name := range m.def.Pass {
		value, ok := m.w.Env.Getenv(name)
		if _, own := env[name]; ok && !own {
			env[name] = value
		}
	}
	for name := range m.def.Secrets {
		env[name] = secret.Value{}.Reveal() // set, but with nothing to show
	}
	file, err := m.parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("slot %d: %w", id, err)
	}
	if m.def.ProjectDir != "" { // the rest is in the worktree's own file
		env = file.Complete(env)
	}
	return file, env, nil
}

// variables is the slot's own env file.
func (m *Manager) variables(id int) (map[string]string, error) {
	data, err := m.w.Disk.Root(m.Dir(id)).ReadFile(slot.EnvName, mostRead)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", id, err)
	}
	env, err := envfile.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %s: %w", id, slot.EnvName, err)
	}
	return env, nil
}

// parse parses a compose file, once for all slots that have the same.
func (m *Manager) parse(data []byte) (*compose.File, error) {
	if file := m.parsed[string(data)]; file != nil {
		return file, nil
	}
	file, err := compose.Parse(data)
	if err == nil {
		m.parsed[string(data)] = file
	}
	return file, err
}

// UpOptions say how a stack is started.
type UpOptions struct {
	Timeout time.Duration             // until all is healthy; 0: as package stack has it
	Keep    bool                      // leave what a failed start has started
	Report  func(docker.ServiceState) // is told of each change of a service; may be nil

	Phase  func(string)                          // is told what begins and may take a time; may be nil
	Follow func(from world.Stream, piece []byte) // is told what Compose prints, as package stack has it; may be nil
}

// Up starts the stack of a claim's slot with the worktree's code mounted, and waits
// until all of it is healthy. It reads the stack's secrets first, except in a dry run.
// Its errors are those of claim.Pool.Guard, secret.Ref.Resolve and stack.Up.
func (m *Manager) Up(ctx context.Context, c claim.Claim, o UpOptions) error {
	return m.guarded(ctx, target(c), func() error {
		file, env, err := m.template(c.Slot)
		if err != nil {
			return err
		}
		baseDir, baseEnv, err := m.base(c.Worktree) // this and the next: before anything is changed
		if err != nil {
			return fmt.Errorf("slot %d: %w", c.Slot, err)
		}
		override, err := m.override(c)
		if err != nil {
			return err
		}
		ports, err := file.Published(env)
		if err != nil {
			return fmt.Errorf("slot %d: %w", c.Slot, err)
		}
		secrets, err := m.secrets(ctx) // before anything is changed
		if err != nil {
			return fmt.Errorf("slot %d: %w", c.Slot, err)
		}
		clean, err := m.claims.NeedsCleanVolumes(ctx, target(c))
		if err != nil {
			return err
		}
		made, err := m.claims.Made(ctx, target(c))
		if err != nil {
			return err
		}
		if err := m.writeOverride(c, override); err != nil {
			return err
		}
		if err := slot.MakeShared(m.w, m.def.Root, m.def.Shared); err != nil {
			return err
		}
		s, err := m.Stack(c.Slot, c.Worktree)
		if err != nil {
			return err
		}
		s.BaseDir, s.BaseEnv, s.Build, s.Secrets = baseDir, baseEnv, baseDir != "", secrets
		options := stack.Options{Ports: ports, Clean: clean, Made: stack.Volumes(made), Keep: o.Keep, Timeout: o.Timeout, Report: o.Report, Phase: o.Phase, Follow: o.Follow, Tell: m.Tell}
		options.Begin = func(ctx context.Context, made stack.Volumes) error {
			return m.claims.VolumesUsed(ctx, target(c), claim.Volumes(made))
		}
		options.Record = m.recordVolumes(c)
		options.Undone = func(ctx context.Context) error { return m.claims.SetStatus(ctx, target(c), "stopped") }
		if err := stack.Up(ctx, m.w, s, options); err != nil {
			return err
		}
		return m.claims.SetStatus(ctx, target(c), "running")
	})
}

// secrets reads the secrets of the stacks; a dry run does without.
func (m *Manager) secrets(ctx context.Context) (map[string]secret.Value, error) {
	values := map[string]secret.Value{}
	for _, name := range slices.Sorted(maps.Keys(m.def.Secrets)) {
		value, err := m.def.Secrets[name].Resolve(ctx, m.w, m.def.Conceal)
		if err != nil && !errors.Is(err, world.ErrPlanned) {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		values[name] = value
	}
	return values, nil
}

// override is the content of the file that mounts the worktree's code; nil where nothing
// is mounted.
func (m *Manager) override(c claim.Claim) ([]byte, error) {
	if len(m.def.Mounts) == 0 {
		return nil, nil
	}
	found, err := stack.FindSources(m.w.Disk.Host(), c.Worktree, m.def.Mounts)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", c.Slot, err)
	}
	data, err := stack.Override(c.Worktree, m.def.Mounts, found)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", c.Slot, err)
	}
	return data, nil
}

// writeOverride writes the file that mounts the worktree's code, or removes it where
// nothing is mounted.
func (m *Manager) writeOverride(c claim.Claim, data []byte) error {
	files := m.w.Disk.Root(m.Dir(c.Slot))
	if err := world.RemoveLeftoversOf(files, stack.OverrideName); err != nil {
		return fmt.Errorf("slot %d: %w", c.Slot, err)
	}
	if data == nil {
		err := files.Remove(stack.OverrideName)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("slot %d: %w", c.Slot, err)
		}
		return nil
	}
	if have, err := files.ReadFile(stack.OverrideName, mostRead); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := world.Replace(files, m.w, stack.OverrideName, data, 0o600); err != nil {
		return fmt.Errorf("slot %d: %w", c.Slot, err)
	}
	return nil
}

// Down stops the stack of a claim's slot; the volumes that were made for it stay unless
// they are to go, too.
func (m *Manager) Down(ctx context.Context, c claim.Claim, volumes bool) error {
	return m.guarded(ctx, target(c), func() error {
		if err := m.stop(ctx, c, volumes); err != nil {
			return err
		}
		return m.claims.SetStatus(ctx, target(c), "stopped")
	})
}

func (m *Manager) stop(ctx context.Context, c claim.Claim, volumes bool) error {
	s, err := m.Stack(c.Slot, c.Worktree)
	if err != nil {
		return err
	}
	made, err := m.claims.Made(ctx, target(c))
	if err != nil {
		return err
	}
	return stack.Down(ctx, m.w, s, stack.DownOptions{Volumes: volumes, Made: stack.Volumes(made), Record: m.recordVolumes(c), Tell: m.Tell})
}

// recordVolumes keeps the record of the volumes that were made for a claim's slot.
func (m *Manager) recordVolumes(c claim.Claim) func(context.Context, stack.Volumes) error {
	return func(ctx context.Context, made stack.Volumes) error {
		return m.claims.VolumesMade(ctx, target(c), claim.Volumes(made))
	}
}

// Restart restarts the stack of a claim's slot and waits until it is healthy.
func (m *Manager) Restart(ctx context.Context, c claim.Claim, o UpOptions) error {
	return m.guarded(ctx, target(c), func() error {
		s, err := m.Stack(c.Slot, c.Worktree)
		if err != nil {
			return err
		}
		if err := stack.Restart(ctx, m.w, s, stack.Options{Timeout: o.Timeout, Report: o.Report, Phase: o.Phase, Follow: o.Follow}); err != nil {
			return err
		}
		return m.claims.SetStatus(ctx, target(c), "running")
	})
}

// Release stops what runs under a claim, drops its volumes, and gives the slot back.
// For a stack that was never started this needs no Docker.
func (m *Manager) Release(ctx context.Context, c claim.Claim) error {
	return m.release(ctx, c, target(c))
}

// Abandon ends one of two claims that are in conflict. What runs in the slot stays,
// since it can't be told whose it is.
func (m *Manager) Abandon(ctx context.Context, c claim.Claim) error {
	return m.claims.Release(ctx, target(c))
}

// Reclaim is Release of a claim that is stale, and only as long as it is.
func (m *Manager) Reclaim(ctx context.Context, c claim.Claim) error {
	t := target(c)
	t.StaleOnly = true
	return m.release(ctx, c, t)
}

func (m *Manager) release(ctx context.Context, c claim.Claim, t claim.Target) error {
	return m.guarded(ctx, t, func() error {
		if err := m.Clear(ctx, c); err != nil {
			return err
		}
		// What a killed start was writing and can't be cleared away keeps no claim.
		_ = world.RemoveLeftoversOf(m.w.Disk.Root(m.Dir(c.Slot)), stack.OverrideName)
		return m.claims.Release(ctx, t)
	})
}

// Clear stops what runs under a claim and drops its volumes. It is to be called under
// the slot's guard.
func (m *Manager) Clear(ctx context.Context, c claim.Claim) error {
	started, err := m.claims.Started(ctx, target(c))
	if err != nil {
		return err
	}
	if !started {
		if started, err = m.startedByHand(ctx, c.Slot); err != nil || !started {
			return err
		}
	}
	return m.stop(ctx, c, true)
}

// startedByHand tells whether a slot has containers, though kinfra started none: the
// older tool did, or a plain `docker compose up` in the slot's directory. Where the
// Engine can't be asked there are none that kinfra would have to answer for.
func (m *Manager) startedByHand(ctx context.Context, id int) (bool, error) {
	containers, err := m.containers(ctx)
	if err != nil {
		return false, ctx.Err()
	}
	states, _ := docker.Survey(m.w, m.def.Root, containers, []docker.Expected{{Project: m.Project(id)}})
	return len(states[0].Containers) > 0, nil
}

// guarded calls f while nobody else works on the slot, if the claim is still in force.
func (m *Manager) guarded(ctx context.Context, t claim.Target, f func() error) error {
	unlock, err := m.claims.Guard(ctx, t)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

func target(c claim.Claim) claim.Target { return claim.Target{Slot: c.Slot, Token: c.Token} }
