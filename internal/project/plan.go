// Package project reads a compose project that knows nothing of kinfra, and proposes a
// pool for it: a name, rules for its ports that keep clear of each other and of the
// other pools of the machine, the text of a pool.star, and what has to be changed in
// the compose file before two copies of the project can run side by side.
//
// What it proposes is held against package compose before it is handed out: by itself
// the changed file means what it meant before, and with the variables of a slot it
// publishes exactly that slot's ports.
package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/world"
)

// Request says what a pool is wanted for.
type Request struct {
	Dir      string // the directory that gets .kinfra/, absolute
	File     string // the compose file, by its path from Dir
	Worktree string // the top of the git worktree that Dir is in, or Dir itself
	Name     string // the pool's name; by default that of the project
	Root     string // the pool's root as pool.star is to say it; by default one by the pool's name
	Slots    int    // how many slots, 1 or more
	Others   []pools.State
}

// Plan is a proposed pool.
type Plan struct {
	Name       string
	Root       string // as pool.star says it: absolute, or with a leading ~/
	Project    string // the Compose project of slot %d
	File       string // the compose file, by its path from the directory that gets .kinfra/
	ProjectDir string // the compose file's directory, by its path from the worktree
	Slots      int
	Services   []string // that are active in slots
	Ports      []*Port  // in the file's order
	MainPort   string
	Profiles   string   // of the compose file, that are on in slots: what COMPOSE_PROFILES says without kinfra
	PassEnv    []string // variables of the file that the caller's environment may set

	Text    []byte    // the compose file as it is
	Changed []byte    // and as it should be: the same where nothing has to be changed
	Changes []Finding // what is changed in it
	ByHand  []Finding // what has to be, but only its author can do
	Notes   []Finding // what is good to know

	Script []byte // the text of pool.star
}

var (
	// ErrUnfit is returned for a project that no pool can be made of.
	ErrUnfit = errors.New("no pool can be made of this project")

	// ErrTaken is returned for a name or root that another pool of this machine has.
	ErrTaken = errors.New("another pool has it")
)

// DefaultSlots is how many slots a pool gets that nobody has said a number for.
const DefaultSlots = 6

// maxFile is the most bytes of a file that is read.
const maxFile = 1 << 20

// reading is a project being read.
type reading struct {
	w    world.World
	req  Request
	plan *Plan
	file *compose.File
	doc  *document
	env  map[string]string // what Compose would take variables from

	names  []named  // variables that name volumes and networks
	builds []string // services whose images are built
}

// Make reads a project and proposes a pool for it. It changes nothing. Its errors are
// ErrUnfit, ErrTaken, those of package compose and those of reading the file.
func Make(w world.World, req Request) (*Plan, error) {
	r := &reading{w: w, req: req}
	if err := r.open(); err != nil {
		return nil, err
	}
	if err := r.choosePlace(); err != nil {
		return nil, err
	}
	if err := r.planPorts(); err != nil {
		return nil, err
	}
	r.inspect()
	r.tell()
	for _, all := range [][]Finding{r.plan.Changes, r.plan.ByHand, r.plan.Notes} {
		slices.SortStableFunc(all, func(a, b Finding) int { return a.Line - b.Line })
	}
	r.plan.PassEnv = r.passed()
	r.plan.Changed = r.doc.edited()
	r.plan.Script = r.script()
	return r.plan, r.prove()
}

// open reads and parses the compose file.
func (r *reading) open() error {
	path := filepath.Join(r.req.Dir, r.req.File)
	text, err := r.w.Disk.Root(r.req.Dir).ReadFile(r.req.File, maxFile)
	if err != nil {
		return fmt.Errorf("reading the compose file: %w", err)
	}
	if r.file, err = compose.Parse(text); err != nil {
		err = fmt.Errorf("reading %s: %w", path, err)
		if errors.Is(err, compose.ErrUnsupported) {
			err = hint.Wrap(err, "docker compose --file %s config --no-interpolate prints it as one file", r.req.File)
		}
		return err
	}
	if r.doc, err = newDocument(text); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	dir, err := filepath.Rel(r.req.Worktree, filepath.Dir(path))
	if err != nil || !filepath.IsLocal(dir) {
		return fmt.Errorf("%w: %s is not in the worktree %s", ErrUnfit, path, r.req.Worktree)
	}
	r.plan = &Plan{File: filepath.ToSlash(r.req.File), ProjectDir: filepath.ToSlash(dir), Slots: r.req.Slots, Text: text}
	r.env = r.readEnv(filepath.Dir(path))
	r.plan.Profiles = r.env[profiles]
	r.plan.Services, err = r.file.Services(r.with(nil))
	return err
}

// readEnv is the variables of the file .env beside the compose file.
func (r *reading) readEnv(dir string) map[string]string {
	const name = ".env"
	data, err := r.w.Disk.Root(dir).ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var env map[string]string
	if err == nil {
		env, err = envfile.Decode(data)
	}
	if err != nil {
		r.note(0, "%s can't be read, so its variables are not known here: %v", name, err)
		return nil
	}
	r.note(0, "variables of %s reach the stack, but for those that the slot sets: a worktree where git doesn't put that file needs a copy", name)
	if env[profiles] != "" {
		r.note(0, "%s turns on the profiles %s, in slots as without kinfra; %s in pool.star's environment says which, from here on", name, env[profiles], profiles)
	}
	return env
}

// profiles is the variable by which Compose knows which profiles are active.
const profiles = "COMPOSE_PROFILES"

// with is the environment that the project is read with, and variables that go before it.
func (r *reading) with(variables map[string]string) map[string]string {
	env := map[string]string{}
	for _, v := range r.file.Variables() {
		if v.Required {
			env[v.Name] = "0" // a port of which nothing is known is one that Docker chooses
		}
	}
	maps.Copy(env, r.env)
	maps.Copy(env, variables)
	return env
}

// choosePlace chooses the pool's name and root, so that no other pool has them.
func (r *reading) choosePlace() error {
	p := r.plan
	name := r.req.Name
	if name == "" {
		name = r.projectName()
	} else if poolName(name) != name {
		return fmt.Errorf("%w: the name %q: want lower case letters, digits and dashes, beginning with a letter or digit, such as %q", ErrUnfit, name, poolName(name))
	}
	if err := pools.CheckName(name); err != nil {
		return hint.Wrap(fmt.Errorf("%w: %w", ErrUnfit, err), "give the pool a name with --name")
	}
	owner := func(name string) *pools.State {
		for i, other := range r.req.Others {
			if other.Name == name || other.Project == projectOf(name) {
				return &r.req.Others[i]
			}
		}
		return nil
	}
	if other := owner(name); other != nil && r.req.Name != "" {
		err := fmt.Errorf("%w: the name %q is that of the pool at %s", ErrTaken, name, other.Root)
		return hint.Wrap(err, "choose another name; kinfra pools lists those that are taken")
	}
	p.Name = unique(name, "-", func(n string) bool { return owner(n) != nil })
	p.Project = projectOf(p.Name)
	if p.Root = r.req.Root; p.Root == "" {
		p.Root = "~/.local/share/kinfra/" + p.Name
	}
	if err := pools.CheckRoot(p.Root, expand(r.w, p.Root)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	for _, other := range r.req.Others {
		if other.Root == expand(r.w, p.Root) {
			err := fmt.Errorf("%w: the root %s is that of the pool %q", ErrTaken, p.Root, other.Name)
			return hint.Wrap(err, "choose another with --root; kinfra pools lists those that are taken")
		}
	}
	return nil
}

// expand is a root as a path.
func expand(w world.World, root string) string {
	below, ok := strings.CutPrefix(root, "~/")
	if !ok {
		return root
	}
	home, _ := w.Env.Getenv("HOME")
	return filepath.Join(home, below)
}

func projectOf(name string) string { return name + "-%d" }

// projectName is what Compose calls the project: by the file, or else by its directory.
func (r *reading) projectName() string {
	if f, ok := field(r.doc.root, "name"); ok && poolName(f.value.Value) != "" && !strings.Contains(f.value.Value, "$") {
		return poolName(f.value.Value)
	}
	if name := poolName(filepath.Base(r.req.Dir)); name != "" {
		return name
	}
	return "pool"
}

// planPorts finds the ports, gives each a rule, and changes the entries that need it.
func (r *reading) planPorts() error {
	published, err := r.file.Published(r.with(nil))
	if err != nil {
		return fmt.Errorf("reading the ports of %s: %w", r.plan.File, err)
	}
	if len(published) == 0 {
		err := fmt.Errorf("%w: %s publishes no port, so nobody could reach what runs in a slot", ErrUnfit, r.plan.File)
		return hint.Wrap(err, "let a service publish a port, as in ports: [\"8080:80\"]")
	}
	all := groupPorts(published)
	namePorts(all)
	r.findVariables(all)
	r.changeEntries(all)
	var others []ports.Claim
	for _, other := range r.req.Others {
		others = append(others, other.PortClaims()...)
	}
	if err := chooseRules(all, r.plan.Slots, others); err != nil {
		return err
	}
	r.plan.Ports, r.plan.MainPort = all, r.mainPort(all)
	return nil
}

// mainPort is the first port of a service that the project builds itself, or else the
// first one.
func (r *reading) mainPort(all []*Port) string {
	services, _ := field(r.doc.root, "services")
	for _, p := range all {
		s, _ := field(services.value, p.Service)
		if _, builds := field(s.value, "build"); builds {
			return p.Name
		}
	}
	return all[0].Name
}

// tell notes what else is good to know.
func (r *reading) tell() {
	everything, err := r.file.Services(r.with(map[string]string{profiles: "*"}))
	if err == nil && len(everything) > len(r.plan.Services) {
		left := slices.DeleteFunc(everything, func(name string) bool { return slices.Contains(r.plan.Services, name) })
		r.note(0, "left out, since they have profiles: %s; %s in pool.star's environment turns them on", joined(left), profiles)
	}
	for _, name := range overridesOf(r.w, filepath.Dir(filepath.Join(r.req.Dir, r.req.File))) {
		r.note(0, "%s is not used: put what slots need of it into %s", name, r.plan.File)
	}
}

// passed is the variables of the file that neither the slot sets nor Compose itself, nor
// kinfra: PWD is the project's directory.
func (r *reading) passed() []string {
	set := r.slotVariables(1)
	var names []string
	for _, v := range r.file.Variables() {
		if _, ours := set[v.Name]; !ours && !strings.HasPrefix(v.Name, "COMPOSE_") && v.Name != "PWD" {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// slotVariables is what pool.star's environment gives for a slot.
func (r *reading) slotVariables(slot int) map[string]string {
	project := strings.Replace(r.plan.Project, "%d", fmt.Sprint(slot), 1)
	env := map[string]string{"SLOT_ID": fmt.Sprint(slot), "COMPOSE_PROJECT_NAME": project, profiles: r.plan.Profiles}
	for _, n := range r.names {
		env[n.variable] = project + "_" + n.key
	}
	for _, p := range r.plan.Ports {
		env[p.Variable] = fmt.Sprint(p.Base + slot*p.Step)
	}
	return env
}

// prove holds the changed file against the one that was there, and against the ports of
// each slot. Where something is left to be done by hand, only the former can hold.
func (r *reading) prove() error {
	fault := func(err error) error {
		return fmt.Errorf("changing %s: the result is not what it should be, so nothing was written: %w", r.plan.File, err)
	}
	changed := r.file
	if !bytes.Equal(r.plan.Changed, r.plan.Text) {
		var err error
		if changed, err = compose.Parse(r.plan.Changed); err != nil {
			return fault(err)
		}
	}
	before, err := r.file.Published(r.with(nil))
	if err != nil {
		return err
	}
	after, err := changed.Published(changed.Complete(r.with(nil)))
	if err != nil {
		return fault(err)
	}
	if a, b := meaning(before), meaning(after); !slices.Equal(a, b) {
		return fault(fmt.Errorf("it published %s, and would publish %s", joined(a), joined(b)))
	}
	if len(r.plan.ByHand) > 0 {
		return nil
	}
	for slot := 1; slot <= r.plan.Slots; slot++ {
		published, err := changed.Published(changed.Complete(r.slotVariables(slot)))
		if err != nil {
			return fault(err)
		}
		if err := r.plan.check(slot, published); err != nil {
			return fault(err)
		}
	}
	return nil
}

// check tells whether what a slot publishes is its ports, and all of them.
func (p *Plan) check(slot int, published []compose.Port) error {
	want := map[int]bool{}
	for _, port := range p.Ports {
		want[port.Base+slot*port.Step] = false
	}
	for _, port := range published {
		if _, ok := want[port.Published]; !ok || port.Last != port.Published {
			return fmt.Errorf("slot %d would publish %d of the service %s, which is none of its ports", slot, port.Published, port.Service)
		}
		want[port.Published] = true
	}
	for number, there := range want {
		if !there {
			return fmt.Errorf("slot %d would not publish its port %d", slot, number)
		}
	}
	return nil
}

// meaning is what ports say, apart from where they stand.
func meaning(all []compose.Port) []string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.Service + " " + p.String()
	}
	slices.Sort(texts)
	return texts
}
