package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	provision = "kinfra sandbox provision"
	reap      = "kinfra sandbox reap stops what runs there and releases it"
	restore   = "kinfra registry restore lists the kept copies, and puts one back"
)

// Pool looks at a pool: its root, its registry, who holds its slots, and what runs in
// them.
func Pool(ctx context.Context, w world.World, def lifecycle.Definition) []Finding {
	p := &pool{ctx: ctx, w: w, def: def, store: registry.Open(w, def.Root)}
	if !p.root() {
		return p.findings
	}
	if !p.registry() {
		return p.findings
	}
	p.writers()
	p.directories()
	p.claims = claim.Open(w, p.store)
	if p.holders() {
		p.containers()
	}
	return p.findings
}

// pool is a pool being looked at.
type pool struct {
	ctx      context.Context
	w        world.World
	def      lifecycle.Definition
	store    *registry.Store
	claims   *claim.Pool
	entries  []registry.Slot
	findings []Finding
}

func (p *pool) add(f ...Finding) { p.findings = append(p.findings, f...) }

// root looks at the root directory, and tells whether there is a pool to look at.
func (p *pool) root() bool {
	const area = "root"
	root := p.def.Root
	info, err := p.w.Disk.Root(root).Lstat(".") // through a link, if the path is one
	if unusable := p.store.CheckRoot(); errors.Is(unusable, registry.ErrRoot) {
		p.add(fail(area, Damaged, unusable, ""))
		return false
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.add(ok(area, "%s is not there yet; %s creates the pool", root, provision))
		return false
	case err != nil:
		p.add(fail(area, Damaged, fmt.Errorf("the root can't be looked at: %w", err), "see who may read it: ls -ld "+world.ShellWord(root)))
		return false
	case info.UserID != p.w.Env.UserID():
		p.add(fail(area, Damaged, fmt.Errorf("%s belongs to user %d, this is user %d", root, info.UserID, p.w.Env.UserID()), "take it over with chown -R, or choose another root with --root"))
		return false
	case info.Mode.Perm()&0o700 != 0o700 && info.UserID != 0: // nothing keeps user 0 from writing
		p.add(fail(area, Damaged, fmt.Errorf("%s can't be written by its owner (mode %04o)", root, info.Mode.Perm()), "chmod u+rwx "+root))
		return false
	case info.Mode.Perm()&0o022 != 0:
		p.add(warn(area, "chmod go-w "+root, "others may write to %s (mode %04o)", root, info.Mode.Perm()))
	default:
		p.add(ok(area, "%s (mode %04o)", root, info.Mode.Perm()))
	}
	return true
}

// registry reads the registry, and tells whether it could.
func (p *pool) registry() bool {
	const area = "registry"
	reg, err := p.store.Load(p.ctx)
	if err != nil {
		p.add(fail(area, Damaged, err, restore))
		return false
	}
	p.entries = reg.Slots()
	_, err = p.w.Disk.Root(p.def.Root).Lstat(registry.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.noRegistry()
	case reg.Version() != 2:
		p.add(warn(area, provision+" brings it to version 2, and keeps the old file", "%s is of version %d", p.store.Path(), reg.Version()))
	default:
		p.add(ok(area, "%s: version 2, %d slot(s)", p.store.Path(), len(p.entries)))
	}
	return true
}

// writers tells whether another tool has written the registry since kinfra did.
func (p *pool) writers() {
	const area, limit = "writers", 64 << 20
	generations, err := p.store.Generations(p.ctx)
	if err != nil {
		p.add(fail(area, Damaged, fmt.Errorf("the kept copies of the registry can't be listed: %w", err), "see what is below "+filepath.Join(p.def.Root, registry.GenerationsDir)))
		return
	}
	if len(generations) == 0 {
		return
	}
	for _, g := range generations {
		switch {
		case world.IsSystemError(g.Err):
			p.add(fail(area, Damaged, fmt.Errorf("the kept copy %s can't be read: %w", g.Path, g.Err), ""))
		case g.Err != nil:
			p.add(warn(area, "remove it: the others are good", "the kept copy %s can't be put back: %v", g.Path, g.Err))
		}
	}
	last := generations[len(generations)-1]
	now, err := p.w.Disk.Root(p.def.Root).ReadFile(registry.File, limit)
	if err != nil {
		return // there is none, or it was told already
	}
	published, err := p.w.Disk.Host().ReadFile(last.Path, limit)
	if err == nil && !bytes.Equal(now, published) {
		p.add(warn(area, "nothing, if that is a tool of yours: claims that it has overwritten are put right; kinfra sandbox slots shows conflicts",
			"another tool has written the registry since kinfra last did (%s)", last.Time.Format("2006-01-02 15:04:05")))
		return
	}
	p.add(ok(area, "nobody but kinfra has written the registry last"))
}

// directories looks for slots that are not whole, and for what is left of others.
func (p *pool) directories() {
	const area = "slots"
	dir := filepath.Dir(slot.Dir(p.def.Root, 1))
	infos, err := p.w.Disk.Root(dir).ReadDir(".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.add(fail(area, Damaged, fmt.Errorf("the slots' directory can't be read: %w", err), "see who may read it: ls -ld "+world.ShellWord(dir)))
		return
	}
	before := len(p.findings)
	named := map[string]bool{}
	for _, s := range p.entries {
		named["slot-"+strconv.Itoa(s.ID)] = true
		files := p.w.Disk.Root(slot.Dir(p.def.Root, s.ID))
		for _, name := range []string{slot.EnvName, slot.ComposeName} {
			if _, err := files.Lstat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				p.add(fail(area, Damaged, fmt.Errorf("slot %d: %w", s.ID, err), "see what is in "+slot.Dir(p.def.Root, s.ID)))
				break
			} else if err != nil {
				cure := provision + " completes it"
				if s.ClaimedBy != "" {
					cure = "kinfra sandbox release " + strconv.Itoa(s.ID) + " --force, then " + provision
				}
				p.add(warn(area, cure, "slot %d: %s can't be found", s.ID, filepath.Join(slot.Dir(p.def.Root, s.ID), name)))
				break
			}
		}
	}
	for _, info := range infos {
		name := path.Join(dir, info.Name)
		switch {
		case world.IsTemporary(info.Name):
			p.add(warn("leftovers", provision+" clears it away when it next writes", "%s was left by a process that was killed", name))
		case strings.HasPrefix(info.Name, "slot-") && !named[info.Name]:
			p.add(warn("leftovers", provision+" registers it, if the scripts name it; else remove it once you have looked into it", "%s is a slot's directory that the registry does not name", name))
		}
	}
	if len(p.findings) == before && len(p.entries) > 0 {
		p.add(ok(area, "%d slot(s), all with their files", len(p.entries)))
	}
}

// noRegistry tells a pool that is yet to be made from one that has lost its registry.
func (p *pool) noRegistry() {
	const area = "registry"
	switch copies, err := p.store.Generations(p.ctx); {
	case err != nil:
		p.add(fail(area, Damaged, err, "see who may read it"))
	case len(copies) > 0:
		p.add(warn(area, restore, "%s is gone, though copies of it are kept", p.store.Path()))
	default:
		p.add(ok(area, "there is none yet; %s creates it", provision))
	}
}

// holders looks at who holds slots, and tells whether that is known.
func (p *pool) holders() bool {
	const area = "claims"
	slots, err := p.claims.List(p.ctx)
	if err != nil {
		p.add(fail(area, Damaged, err, restore))
		return false
	}
	held, before := 0, len(p.findings)
	p.lostClaims(slots)
	for _, s := range slots {
		if s.Claim == nil {
			continue
		}
		held++
		if s.Claim.Stale != "" {
			p.add(warn(area, reap, "slot %d, held by %s: %s", s.ID, s.Claim.Worktree, s.Claim.Stale))
		} else if s.Claim.Missing != "" {
			p.add(warn(area, s.Claim.Decide(), "slot %d, held by %s: %s", s.ID, s.Claim.Worktree, s.Claim.Missing))
		}
		if s.Contender != nil {
			p.add(warn(area, fmt.Sprintf("kinfra sandbox release %d --force --for PATH, with the one that is to give way", s.ID),
				"slot %d: kinfra gave it to %s, another tool to %s", s.ID, s.Claim.Worktree, s.Contender.Worktree))
		}
	}
	if len(p.findings) == before {
		p.add(ok(area, "%d of %d slot(s) claimed, none of them stale", held, len(slots)))
	}
	return true
}

// lostClaims looks for claims of slots that the registry has lost.
func (p *pool) lostClaims(slots []claim.Slot) {
	given, err := p.claims.Given()
	if err != nil {
		return // the list would have told
	}
	for _, s := range slots {
		delete(given, s.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(given)) {
		if _, err := p.w.Disk.Host().Lstat(slot.Dir(p.def.Root, id)); err == nil {
			p.add(warn("claims", restore+"; "+provision+" registers it again, with its claim, if it is as the scripts say", "slot %d, held by %s, is not in the registry", id, given[id]))
		}
	}
}

// containers looks at what runs, where the Engine can be asked: whether it can is for
// Machine to say.
func (p *pool) containers() {
	const area = "containers"
	survey, err := lifecycle.New(p.w, p.def, p.claims).Survey(p.ctx)
	if err != nil || survey.Engine != nil {
		return
	}
	before := len(p.findings)
	running := 0
	for _, s := range survey.Slots {
		id, state := s.Slot.ID, s.State
		running += len(state.Containers)
		if len(state.Containers) > 0 && s.Slot.Claim == nil {
			p.add(warn(area, fmt.Sprintf("docker compose --project-name %s down", state.Project), "slot %d: it has %d container(s), but nobody holds it", id, len(state.Containers)))
		}
		for _, c := range state.InTheWay {
			p.add(warn(area, fmt.Sprintf("docker rm --force %s, if you need it no more; else give the pool another project name", c.Name),
				"slot %d: the container %s has its project name, but is none of this pool", id, c.Name))
		}
		if s.Problem != nil {
			p.add(warn(area, provision+" repairs the slot's files", "slot %d: %v", id, s.Problem))
		}
	}
	for _, c := range survey.Strays {
		p.add(warn(area, "docker rm --force "+c.Name, "the container %s (project %s) is of this pool, but of none of its slots", c.Name, c.Project))
	}
	if len(p.findings) == before {
		p.add(ok(area, "%d, each in a slot that somebody holds", running))
	}
}

// Others looks at the other pools of the machine, as far as they concern the one at a
// root.
func Others(ctx context.Context, list *pools.List, root string) []Finding {
	const area = "pools"
	states, problems := list.States(ctx)
	var all []Finding
	for _, err := range problems {
		all = append(all, fail(area, Damaged, err, "kinfra pools shows the list"))
	}
	var known []ports.Claim
	for _, s := range states {
		switch {
		case s.Gone:
			all = append(all, warn(area, "kinfra pools --prune takes it off the list", "pool %q: its root %s is gone", s.Name, s.Root))
		case s.Problem != nil && !list.Same(s.Root, root):
			all = append(all, fail(area, Damaged, fmt.Errorf("pool %q: %w", s.Name, s.Problem), restore))
		}
		if err := ports.Apart(known, s.PortClaims()); err != nil {
			all = append(all, warn(area, "give one of the pools other rules, and provision it with --refresh", "two pools can't run at once: %v", firstOf(err)))
		}
		known = append(known, s.PortClaims()...)
	}
	if len(all) == 0 {
		all = append(all, ok(area, "%d on this machine, apart from each other", len(states)))
	}
	return all
}

// firstOf is the first line of an error that tells several things.
func firstOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
