package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/project"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// initFlags are the flags of kinfra init.
type initFlags struct {
	file, name   string
	slots        int
	write, force bool
}

func (a *app) initCommand() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a pool for the compose project here",
		Long: `Write a pool for the compose project here.

It reads the compose file of the working directory, as Compose finds it, and writes
.kinfra/pool.star beside it: a name, a root, slots, and a rule for each port that the
project publishes, so that no two slots, and no two pools of this machine, share one.
It says what has to be changed in the compose file before two copies of the project
can run side by side (ports and container names that are fixed), as a patch; --write
applies that. By itself, the changed file still means what it did.

What it has written is trusted, and so is the compose file, as it is and as the patch
changes it, so that provisioning can follow at once. With --dry-run all is shown, and
nothing written.`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return a.init(c.Context(), f) },
	}
	c.Flags().StringVar(&f.file, "file", "", "the compose `file` (by default the one that Compose would find)")
	c.Flags().StringVar(&f.name, "name", "", "the pool's `name` (by default the project's)")
	c.Flags().IntVar(&f.slots, "slots", project.DefaultSlots, "how many slots the pool has")
	c.Flags().BoolVar(&f.write, "write", false, "change the compose file, too")
	c.Flags().BoolVar(&f.force, "force", false, "overwrite the pool.star that is there")
	return c
}

// initResult is what --output json prints of it.
type initResult struct {
	Name     string            `json:"name"`
	Root     string            `json:"root"`
	Project  string            `json:"project"`
	File     string            `json:"file"`      // the compose file
	PoolFile string            `json:"pool_file"` // .kinfra/pool.star
	Slots    int               `json:"slots"`
	MainPort string            `json:"main_port"`
	Ports    []initPort        `json:"ports"`
	Changes  []project.Finding `json:"changes"`
	ByHand   []project.Finding `json:"by_hand"`
	Notes    []project.Finding `json:"notes"`
	Patch    string            `json:"patch"`
	Script   string            `json:"script"`
	Written  bool              `json:"written"` // pool.star was not there as it is now
	Applied  bool              `json:"applied"` // the patch was
	Trusted  bool              `json:"trusted"`
	DryRun   bool              `json:"dry_run"`
}

type initPort struct {
	Name     string `json:"name"`
	Service  string `json:"service"`
	Variable string `json:"variable"`
	Default  int    `json:"default"`
	Target   int    `json:"target"`
	Base     int    `json:"base"`
	Step     int    `json:"step"`
}

func (a *app) init(ctx context.Context, f initFlags) error {
	if f.slots < 1 || f.slots > registry.MaxSlot {
		return engine.UsageError("", "--slots %d: want a number from 1 to %d", f.slots, registry.MaxSlot)
	}
	req, err := a.initRequest(ctx, f)
	if err != nil {
		return err
	}
	plan, err := project.Make(a.world, req)
	if err != nil {
		return initError(err)
	}
	w := &initWriter{app: a, flags: f, dir: req.Dir, plan: plan}
	if err := w.write(); err != nil {
		return err
	}
	return a.print("init", w.result(), nil, w.show)
}

// initRequest finds the compose file and the directory that gets .kinfra/: the one that
// has the file or, where it is named, the working directory.
func (a *app) initRequest(ctx context.Context, f initFlags) (project.Request, error) {
	req := project.Request{Name: f.name, Slots: f.slots}
	work, err := absolute(a.real, ".")
	if err != nil {
		return req, err
	}
	if f.file == "" {
		if req.Dir, req.File, err = project.Find(a.world, work); err != nil {
			return req, initError(err)
		}
	} else {
		file, err := absolute(a.real, f.file)
		if err != nil {
			return req, err
		}
		req.Dir = work
		if req.File, err = filepath.Rel(work, file); err != nil || !filepath.IsLocal(req.File) {
			return req, engine.UsageError("run it in the project's own directory", "--file %s is not below the working directory %s", f.file, work)
		}
	}
	if req.Worktree, err = claim.GitTop(a.real, req.Dir); err != nil {
		return req, err
	}
	if req.Root, err = a.declaredRoot(); err != nil {
		return req, err
	}
	req.Others = a.otherPools(ctx, req.Dir)
	return req, nil
}

// declaredRoot is the root of --root as pool.star is to say it: below the home directory
// as ~/, so that it is right for everybody who works on the project.
func (a *app) declaredRoot() (string, error) {
	root := a.root()
	if root == "" {
		return "", nil
	}
	if slices.Contains(strings.Split(filepath.ToSlash(root), "/"), projectDir) {
		return "", engine.UsageError("choose another directory", "--root %s is below a directory %s, which is for scripts", root, projectDir)
	}
	home, _ := a.real.Env.Getenv("HOME")
	if below, err := filepath.Rel(home, root); home != "" && err == nil && filepath.IsLocal(below) && below != "." {
		return "~/" + filepath.ToSlash(below), nil
	}
	return root, nil
}

// otherPools is the pools of this machine but for the one of the project in dir, which
// may be there from an earlier run.
func (a *app) otherPools(ctx context.Context, dir string) []pools.State {
	states, _ := pools.Open(a.world, a.builtinOptions().PoolsDir).States(ctx)
	return slices.DeleteFunc(states, func(s pools.State) bool { return s.ProjectDir == dir })
}

// initError gives the errors about a project their codes.
func initError(err error) error {
	_, faulty := errors.AsType[*compose.Error](err)
	code := engine.Failed
	switch {
	case faulty, errors.Is(err, project.ErrNoFile), errors.Is(err, project.ErrUnfit), errors.Is(err, fs.ErrNotExist), errors.Is(err, world.ErrNotRegular):
		code = engine.Usage
	case errors.Is(err, project.ErrTaken):
		code = engine.Conflict
	default:
		return err
	}
	coded := &engine.Error{Code: code, Message: err.Error(), Err: err}
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		coded.Next = hinted.Hint()
	}
	return coded
}

// initWriter writes what was planned.
type initWriter struct {
	*app
	flags                     initFlags
	dir                       string
	plan                      *project.Plan
	written, applied, trusted bool
	untrusted                 error // why the compose file isn't trusted, while the scripts are
}

// poolFile is the file that is written, by its path from the project's directory.
const poolFile = projectDir + "/pool.star"

func (w *initWriter) write() error {
	files := w.world.Disk.Root(w.dir)
	old, err := files.ReadFile(poolFile, layer.MaxFile)
	switch {
	case err == nil && bytes.Equal(old, w.plan.Script):
	case err == nil && !w.flags.force:
		return &engine.Error{Code: engine.Conflict, Message: filepath.Join(w.dir, poolFile) + " is there already, and another one than would be written: it is left as it is",
			Next: "change it with an editor; kinfra init --force writes it anew, kinfra init --force --dry-run shows what that would be"}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for %s: %w", poolFile, err)
	default:
		w.written = true
	}
	mayTrust, err := w.mayTrust()
	if err != nil {
		return err
	}
	if w.flags.write && w.changes() {
		if err := w.apply(files); err != nil {
			return err
		}
		w.applied = true
	}
	if w.written {
		if err := files.MkdirAll(projectDir, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", projectDir, err)
		}
		if err := world.Replace(files, w.world, poolFile, w.plan.Script, 0o644); err != nil {
			return err
		}
	}
	if mayTrust {
		return w.trustWritten()
	}
	return nil
}

func (w *initWriter) changes() bool { return !bytes.Equal(w.plan.Text, w.plan.Changed) }

// apply changes the compose file. A link is left to its owner: what it leads to may be
// another project's.
func (w *initWriter) apply(files world.Files) error {
	info, err := files.Lstat(w.plan.File)
	if err == nil && !info.Mode.IsRegular() {
		err = errors.New("it is a symbolic link: apply the patch to the file that it leads to")
	}
	if err == nil {
		err = world.Replace(files, w.world, path.Clean(w.plan.File), w.plan.Changed, info.Mode.Perm())
	}
	if err != nil {
		return fmt.Errorf("changing %s: %w", w.plan.File, err)
	}
	return nil
}

// mayTrust tells whether what will be in .kinfra/ is nothing that the user hasn't seen:
// it holds nothing but pool.star, or what is there is trusted.
func (w *initWriter) mayTrust() (bool, error) {
	trust, err := openTrust(w.world) // before anything is written: without a home there is none
	if err != nil {
		return false, err
	}
	there, err := layer.FindProject(w.world, w.dir, projectDir)
	if err != nil {
		return false, err
	}
	if there == nil || filepath.Dir(there.Dir) != w.dir {
		return true, nil
	}
	if others := slices.DeleteFunc(there.Files(), func(name string) bool { return name == path.Base(poolFile) }); len(others) == 0 {
		return true, nil
	}
	return trust.Allowed(there)
}

func (w *initWriter) trustWritten() error {
	trust, err := openTrust(w.world)
	if err != nil {
		return err
	}
	written, err := layer.FindProject(w.world, w.dir, projectDir)
	if err != nil || written == nil {
		return err
	}
	if err := trust.Allow(written); err != nil {
		return err
	}
	w.trusted = true
	return w.trustNamed(trust, written)
}

// trustNamed trusts the compose file, as it was read and as the patch changes it, if the
// user has asked for a pool of just that: by the pool.star that was written now, or by an
// earlier approval. Where the pool.star was there before, it may be a branch that has changed
// the compose file.
func (w *initWriter) trustNamed(trust *layer.Trust, written *layer.Project) error {
	named, err := namedBy(w.world, written)
	if err != nil {
		return err
	}
	file := path.Clean(w.plan.File)
	if !named.Has(file) {
		return nil
	}
	read := named.Put(file, w.plan.Text)
	if !w.written || len(named.Names()) > 1 {
		err := trust.CheckNamed(read)
		if _, untrusted := errors.AsType[*layer.UntrustedError](err); untrusted {
			w.untrusted = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := trust.AllowNamed(read); err != nil {
		return err
	}
	return trust.AllowNamed(named.Put(file, w.plan.Changed))
}

func (w *initWriter) patch() string {
	if !w.changes() {
		return ""
	}
	text := string(diff.Diff("a/"+w.plan.File, w.plan.Text, "b/"+w.plan.File, w.plan.Changed))
	if _, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(text, "diff ") {
		return rest // patch(1) and git take the rest by itself
	}
	return text
}

func (w *initWriter) result() initResult {
	p := w.plan
	r := initResult{
		Name: p.Name, Root: p.Root, Project: p.Project, File: p.File, PoolFile: filepath.Join(w.dir, poolFile),
		Slots: p.Slots, MainPort: p.MainPort, Ports: []initPort{},
		Changes: listOf(p.Changes), ByHand: listOf(p.ByHand), Notes: listOf(p.Notes),
		Patch: w.patch(), Script: string(p.Script),
		Written: w.written, Applied: w.applied, Trusted: w.trusted && w.untrusted == nil, DryRun: w.globals.dryRun,
	}
	for _, port := range p.Ports {
		r.Ports = append(r.Ports, initPort{port.Name, port.Service, port.Variable, port.Default, port.Target, port.Base, port.Step})
	}
	return r
}

// listOf is a list that JSON shows as one where it is empty.
func listOf(all []project.Finding) []project.Finding {
	if all == nil {
		return []project.Finding{}
	}
	return all
}

// show says what was done, and what is left to do.
func (w *initWriter) show() {
	p := w.plan
	say := func(format string, args ...any) { fmt.Fprintf(w.stdout, format+"\n", args...) }
	say("The pool %s: %d slots of %s, below %s", p.Name, p.Slots, p.File, p.Root)
	for _, port := range p.Ports {
		step := ""
		if port.Step != 1 {
			step = fmt.Sprintf("%d * ", port.Step)
		}
		say("    %s: %d + %sN in slot N, by %s", port.Name, port.Base, step, port.Variable)
	}
	if w.changes() {
		title := "To be changed in"
		if w.applied {
			title = either(w.globals.dryRun, "Would change", "Changed")
		}
		say("\n%s %s:", title, p.File)
		w.list(p.Changes)
		say("\n%s", strings.TrimSuffix(w.patch(), "\n"))
	}
	if len(p.ByHand) > 0 {
		say("\nTo be changed by hand in %s:", p.File)
		w.list(p.ByHand)
	}
	if len(p.Notes) > 0 {
		say("\nGood to know:")
		w.list(p.Notes)
	}
	say("")
	if w.globals.dryRun && w.written {
		say("Would write %s:\n\n%s", poolFile, strings.TrimSuffix(string(p.Script), "\n"))
		return
	}
	say("%s %s", either(w.written, "Wrote", "Left as it is:"), filepath.Join(w.dir, poolFile))
	switch {
	case !w.trusted:
		say("There are other scripts beside it: kinfra trust shows and allows them")
	case w.untrusted != nil:
		say("The compose file is not trusted: kinfra trust shows and allows it")
	}
	switch {
	case w.changes() && !w.applied:
		say("kinfra init --write changes %s; then kinfra sandbox provision makes the slots", p.File)
	case len(p.ByHand) > 0:
		say("Once that is changed, kinfra trust allows the file as it is then, and kinfra sandbox provision makes the slots")
	default:
		say("kinfra sandbox provision makes the slots")
	}
}

func (w *initWriter) list(findings []project.Finding) {
	for _, f := range findings {
		fmt.Fprintf(w.stdout, "    %s\n", f)
	}
}

func either(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}
