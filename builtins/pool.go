package builtins

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

// Pool is a pool as scripts define it: the value of slot.pool.
type Pool struct {
	name        string
	root        string // absolute
	project     string // "slot-%d"
	mainPort    string
	template    template
	projectDir  string         // in the holder's worktree; "" for the slot's directory
	profiles    []*profile     // lightest first
	slots       []int          // ascending
	profileOf   map[int]string // by slot
	portNames   []string       // in the script's order
	portRules   []starlark.Value
	environment starlark.Callable
	mounts      map[string][]stack.Mount
	passEnv     []string
	shared      []string              // below the root
	secrets     map[string]secret.Ref // by the variable's name
	keepRuns    int                   // records of runs
	position    syntax.Position       // where slot.pool was called

	mu     sync.Mutex
	specs  map[int]*specValue // made so far
	parsed *compose.File      // the template, once it was asked for
}

func poolBuiltin(d *domain) table.Builtin {
	return table.Builtin{
		Name: "slot.pool", Declares: true,
		Doc: "Defines a pool: its slots, what each may run, and on which ports. `pool.star` exports one as `pool`, and that is the pool of every command.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Named: true, Help: "its name, in 1 to 64 printable characters"},
			{Name: "root", Type: table.String(), Named: true, Help: "its root directory: absolute, or below the home directory with a leading ~/; --root goes before it"},
			{Name: "profiles", Type: table.ListOf("a list of profiles", table.Of[*profile]("a profile")), Named: true, Help: "its profiles, lightest first"},
			{Name: "slots", Type: table.Dict(), Named: true, Help: "the profile's name for each slot's number: `{1: \"light\"}`"},
			{Name: "ports", Type: table.Dict(), Named: true, Help: "a rule for each port's name: port(…), or a function of the slot's number"},
			{Name: "main_port", Type: table.String(), Named: true, Help: "the port that lists show"},
			{Name: "project", Type: table.String(), Named: true, Help: "the Compose project of slot %d: \"slot-%d\""},
			{Name: "environment", Type: table.Function(), Named: true, Help: "gives the variables of a slot as a dict; called with a struct of id, profile, workers, ports, project, dir and root. COMPOSE_PROJECT_NAME and SLOT_ID, where it gives them, are the slot's project and id"},
			{Name: "template", Type: table.String(), Named: true, Optional: true, Help: "the text of the compose file, the same for all slots"},
			{Name: "template_file", Type: table.String(), Named: true, Optional: true, Help: "instead of template: the project's own compose file, by its path from the directory that has the project's .kinfra/. It is read when slots are made, if kinfra trust has allowed it, and slots that exist keep their copy. So that kinfra trust finds it, write it as a string literal in a script of the project"},
			{Name: "project_directory", Type: table.String(), Named: true, Optional: true, Help: "the directory in the holder's worktree that relative paths of the compose file lead to when a stack is started, \".\" for the worktree itself. Images are built from there, and variables of its file .env reach the stack. The slot's own directory if left out"},
			{Name: "mounts", Type: table.Dict(), Named: true, Optional: true, Help: "what of the holder's worktree a service sees: `{\"web\": {\"src\": \"/app/src\"}}`, paths in the worktree with paths in the container"},
			{Name: "pass_env", Type: table.Strings(), Named: true, Optional: true, Help: "variables of the caller's environment that reach the stack, but for those that the slot's environment sets"},
			{Name: "shared", Type: table.Strings(), Named: true, Optional: true, Help: "directories below the root that the stacks have in common, but not in sandboxes/, sandbox/ or kinfra/: made where they are missing, before a stack is started"},
			{Name: "secrets", Type: table.Dict(), Named: true, Optional: true, Help: "variables of the stack that stand in no file: `{\"DB_PASSWORD\": secret(\"env://DB_PASSWORD\")}`"},
			{Name: "keep_runs", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(50), Help: "how many records are kept of runs that have ended, and of those that were interrupted or failed with something left to undo; older ones are removed when a new one begins"},
		},
		Result: "a pool, with `name`, `root`, `profiles`, `slots` (numbers), `ports` (names), `main_port`, `project`, `project_directory`, `template` (its text), `mounts`, `pass_env`, `shared` and `secrets` (names of variables), and the methods `specs` and `at`",
		Errors: "A slot number out of 1–65535, a profile or main port that isn't there, a value that is no rule, a project without its %d, both or none of template and template_file, a path that leads out or to what is kinfra's own, the root of the whole file system, a secret whose name is also in pass_env or decides what Compose works on, one of Compose's own variables (COMPOSE_*) or PWD in pass_env.",
		Run:    d.newPool,
		Example: `pool = slot.pool(
    name = "shop",
    root = "~/.shop",
    profiles = [profile("small", web = 1), profile("big", web = 4)],
    slots = {1: "small", 2: "big"},
    ports = {"http": port(base = 9100)},
    main_port = "http",
    project = "shop-%d",
    environment = lambda slot: {"HTTP": slot.ports["http"]},
    template = 'services: {web: {image: nginx, ports: ["${HTTP}:80"]}}',
)
[s.ports["http"] for s in pool.specs()]  # -> [9101, 9102]`,
	}
}

func (d *domain) newPool(c *table.Call) (starlark.Value, error) {
	p := &Pool{
		name: c.String("name"), project: c.String("project"), mainPort: c.String("main_port"),
		environment: c.Callable("environment"), passEnv: c.Strings("pass_env"), shared: c.Strings("shared"), keepRuns: c.Int("keep_runs"),
		profileOf: map[int]string{}, specs: map[int]*specValue{}, position: c.Thread.CallFrame(1).Pos,
	}
	for _, set := range []func() error{
		p.checkRuns,
		func() error { return pools.CheckName(p.name) },
		func() error { return p.setRoot(engine.World(c.Thread), d.options, c.String("root")) },
		func() error { return p.setProfiles(c.List("profiles")) },
		func() error { return p.setSlots(c.Dict("slots")) },
		func() error { return p.setPorts(c.Dict("ports")) },
		func() error { return p.setMounts(c.Dict("mounts")) },
		p.checkPassed,
		func() error { return p.setSecrets(c.Dict("secrets")) },
		func() error { return slot.CheckShared(p.shared) },
		p.checkProject,
		func() error { return p.setTemplate(c, d.options.Project) },
		func() error { return p.setProjectDir(c.String("project_directory")) },
	} {
		if err := set(); err != nil {
			return nil, fmt.Errorf("slot.pool: %w", err)
		}
	}
	return p, nil
}

func (p *Pool) checkPassed() error {
	for _, name := range p.passEnv {
		if err := stack.CheckPass(name); err != nil {
			return fmt.Errorf("pass_env: %w", err)
		}
	}
	return nil
}

// at is the same pool below another root.
func (p *Pool) at(root string) *Pool {
	return &Pool{
		name: p.name, root: root, project: p.project, mainPort: p.mainPort, template: p.template, projectDir: p.projectDir,
		profiles: p.profiles, slots: p.slots, profileOf: p.profileOf,
		portNames: p.portNames, portRules: p.portRules, environment: p.environment,
		mounts: p.mounts, passEnv: p.passEnv, shared: p.shared, secrets: p.secrets, keepRuns: p.keepRuns,
		position: p.position, specs: map[int]*specValue{},
	}
}

func (p *Pool) setRoot(w world.World, o Options, declared string) error {
	if p.root = o.Root; p.root != "" {
		switch home, _ := w.Env.Getenv("HOME"); {
		case filepath.IsAbs(p.root):
			return pools.CheckRoot(p.root, filepath.Clean(p.root))
		case strings.HasPrefix(o.RootFlag, "~"):
			return engine.UsageError("", "--root is %q, and HOME is %q: want an absolute path", o.RootFlag, home)
		case o.RootFlag != "":
			return engine.UsageError("", "--root is %q, and the working directory is not known: want an absolute path", o.RootFlag)
		}
		return engine.UsageError("--root takes a relative one, for a single command",
			"KINFRA_ROOT is %q: want an absolute path, since it would name another pool in each directory", p.root)
	}
	p.root = declared
	if below, ok := strings.CutPrefix(declared, "~/"); ok {
		home, _ := w.Env.Getenv("HOME")
		if home == "" {
			return fmt.Errorf("root is %q, but HOME is not set: set it, or give --root", declared)
		}
		if !filepath.IsAbs(home) {
			return fmt.Errorf("root is %q, but HOME is %q: want an absolute path, or give --root", declared, home)
		}
		p.root = filepath.Join(home, below)
	}
	if !filepath.IsAbs(p.root) {
		return fmt.Errorf("root is %q: want an absolute path, or one that begins with ~/", declared)
	}
	p.root = filepath.Clean(p.root)
	return pools.CheckRoot(declared, p.root)
}

func (p *Pool) setProfiles(all []starlark.Value) error {
	for _, v := range all {
		one := v.(*profile)
		if slices.Contains(p.order(), one.name) {
			return fmt.Errorf("the profile %q stands twice in profiles", one.name)
		}
		p.profiles = append(p.profiles, one)
	}
	return nil
}

// order is the names of the profiles, lightest first.
func (p *Pool) order() []string {
	names := make([]string, len(p.profiles))
	for i, one := range p.profiles {
		names[i] = one.name
	}
	return names
}

func (p *Pool) setSlots(slots starlark.IterableMapping) error {
	order := p.order()
	for _, kv := range slots.Items() {
		id, err := starlark.AsInt32(kv[0])
		if _, isInt := kv[0].(starlark.Int); !isInt || err != nil || id < 1 || id > registry.MaxSlot {
			return fmt.Errorf("slots has the key %s: want a slot number from 1 to %d", kv[0], registry.MaxSlot)
		}
		name, ok := starlark.AsString(kv[1])
		if !ok || !slices.Contains(order, name) {
			return fmt.Errorf("slot %d has the profile %s%s", id, kv[1], choice("profiles", order))
		}
		p.slots = append(p.slots, id)
		p.profileOf[id] = name
	}
	slices.Sort(p.slots)
	return nil
}

func (p *Pool) setPorts(ports starlark.IterableMapping) error {
	for _, kv := range ports.Items() {
		name, ok := starlark.AsString(kv[0])
		if !ok || name == "" {
			return fmt.Errorf("ports has the key %s: want a name", kv[0])
		}
		switch kv[1].(type) {
		case *portRule, starlark.Callable:
		default:
			return fmt.Errorf("the port %q is %s: want port(base = …) or a function of the slot's number", name, table.Describe(kv[1]))
		}
		p.portNames = append(p.portNames, name)
		p.portRules = append(p.portRules, kv[1])
	}
	if !slices.Contains(p.portNames, p.mainPort) {
		return fmt.Errorf("main_port is %q%s", p.mainPort, choice("ports", p.portNames))
	}
	return nil
}

func (p *Pool) setMounts(mounts starlark.IterableMapping) error {
	if mounts == nil {
		return nil
	}
	p.mounts = map[string][]stack.Mount{}
	for _, kv := range mounts.Items() {
		service, isText := starlark.AsString(kv[0])
		paths, isDict := kv[1].(starlark.IterableMapping)
		if !isText || !isDict {
			return fmt.Errorf("mounts has %s: %s: want a service's name with a dict of paths", kv[0], table.Describe(kv[1]))
		}
		for _, pair := range paths.Items() {
			source, ok := starlark.AsString(pair[0])
			target, ok2 := starlark.AsString(pair[1])
			if !ok || !ok2 {
				return fmt.Errorf("mounts of %q has %s: %s: want a path in the worktree with one in the container", service, pair[0], pair[1])
			}
			p.mounts[service] = append(p.mounts[service], stack.Mount{Source: source, Target: target})
		}
	}
	if err := stack.CheckMounts(p.mounts); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	return nil
}

// checkProject holds the project to what Compose takes for a name: it begins with a
// letter or digit.
func (p *Pool) checkProject() error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-"
	before, after, found := strings.Cut(p.project, "%d")
	name := before + "0" + after
	if !found || strings.Trim(name, allowed) != "" || strings.Trim(name[:1], "_-") == "" {
		return fmt.Errorf(`project is %q: want lower-case letters, digits, "-" and "_", with one %%d for the slot's number, such as "slot-%%d"`, p.project)
	}
	return nil
}

// choice ends a message about a name that isn't one of those that there are.
func choice(kind string, names []string) string {
	if len(names) == 0 {
		return ", but there are no " + kind
	}
	return ": want one of " + quoted(names)
}

func quoted(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(all, ", ")
}

// errTemplate begins the errors about a template that can't be read: it is part of
// the scripts, as a file that doesn't parse is.
var errTemplate = errors.New("the template")

// compose is the template, parsed.
func (p *Pool) compose() (*compose.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parsed == nil {
		text, err := p.template.read()
		if err != nil {
			return nil, err
		}
		file, err := compose.Parse([]byte(text))
		if err != nil {
			return nil, p.inTemplate("", err)
		}
		p.parsed = file
	}
	return p.parsed, nil
}

// inTemplate says of an error that it is about the template, under what it came up, and
// points to where the pool is defined.
func (p *Pool) inTemplate(under string, err error) error {
	return engine.At(fmt.Errorf("%w%s of pool %q%s: %w", errTemplate, p.template.shown(), p.name, under, err), p.position)
}

// Freeze freezes the functions of the script, which may hold on to lists and dicts.
func (p *Pool) Freeze() {
	for _, v := range p.Held() {
		v.Freeze()
	}
}

// Held is the functions of the script.
func (p *Pool) Held() []starlark.Value {
	return append([]starlark.Value{p.environment}, p.portRules...)
}

// Name is the pool's name.
func (p *Pool) Name() string { return p.name }

func (p *Pool) String() string        { return fmt.Sprintf("<pool %q>", p.name) }
func (p *Pool) Type() string          { return "pool" }
func (p *Pool) Truth() starlark.Bool  { return true }
func (p *Pool) Hash() (uint32, error) { return starlark.String(p.name).Hash() }
func (p *Pool) AttrNames() []string {
	return []string{"at", "main_port", "mounts", "name", "pass_env", "ports", "profiles", "project", "project_directory", "root", "secrets", "shared", "slots", "specs", "template"}
}

// Attr gives what the table of slot.pool documents.
func (p *Pool) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(p.name), nil
	case "root":
		return starlark.String(p.root), nil
	case "project":
		return starlark.String(p.project), nil
	case "project_directory":
		return orNone(p.projectDir), nil
	case "main_port":
		return starlark.String(p.mainPort), nil
	case "template":
		text, err := p.template.read()
		return starlark.String(text), err
	case "mounts":
		return mountsValue(p.mounts), nil
	case "pass_env":
		return engine.List(p.passEnv, stringValue), nil
	case "ports":
		return engine.List(p.portNames, stringValue), nil
	case "secrets":
		return engine.List(slices.Sorted(maps.Keys(p.secrets)), stringValue), nil
	case "shared":
		return engine.List(p.shared, stringValue), nil
	case "slots":
		return engine.List(p.slots, intValue), nil
	case "profiles":
		return engine.List(p.profiles, func(one *profile) starlark.Value { return one }), nil
	case "specs":
		specs := specsMethod()
		return specs.Method(p), nil
	case "at":
		at := atMethod()
		return at.Method(p), nil
	}
	return nil, nil
}

// mountsValue is mounts as slot.pool takes them.
func mountsValue(mounts map[string][]stack.Mount) starlark.Value {
	all := starlark.NewDict(len(mounts))
	for _, service := range slices.Sorted(maps.Keys(mounts)) {
		paths := starlark.NewDict(len(mounts[service]))
		for _, m := range mounts[service] {
			_ = paths.SetKey(starlark.String(m.Source), starlark.String(m.Target)) // a string is hashable
		}
		_ = all.SetKey(starlark.String(service), paths)
	}
	return all
}

func stringValue(s string) starlark.Value { return starlark.String(s) }
func intValue(n int) starlark.Value       { return starlark.MakeInt(n) }

// Runs tells where the records of the pool's runs are, how many are kept, and the pool's
// root.
func Runs(t *starlark.Thread, o Options) (dir string, keep int, root string, err error) {
	p, err := (&domain{options: o}).current(t)
	if err != nil {
		return "", 0, "", err
	}
	return filepath.Join(p.root, "kinfra", "runs"), p.keepRuns, p.root, nil
}

func (p *Pool) checkRuns() error {
	if p.keepRuns < 1 {
		return fmt.Errorf("keep_runs is %d, want at least 1", p.keepRuns)
	}
	return nil
}

// current is the pool of pool.star, which is evaluated once per run. No lock is held
// meanwhile, since pool.star may itself ask for what needs the pool, which is a load
// cycle.
func (d *domain) current(t *starlark.Thread) (*Pool, error) {
	if p := d.pool.Load(); p != nil {
		return p, nil
	}
	names, err := engine.Load(t, "pool.star")
	if err != nil {
		return nil, err
	}
	p := names["pool"].(*Pool) // checkPool has seen to that
	d.pool.Store(p)
	return p, nil
}

// Checks is what the scripts rely on in files that others may replace.
func Checks() map[string]func(layer.File, starlark.StringDict) error {
	return map[string]func(layer.File, starlark.StringDict) error{"pool.star": checkPool}
}

// checkPool tells whether a pool.star defines a pool.
func checkPool(file layer.File, names starlark.StringDict) error {
	if _, ok := names["pool"].(*Pool); ok {
		return nil
	}
	err := &engine.Error{Code: engine.Usage, Message: file.Path() + " does not define pool = slot.pool(…)",
		Next: "kinfra scripts list shows which pool.star is used"}
	parsed, parseErr := engine.Parse(file)
	if parseErr != nil {
		return err
	}
	for _, stmt := range parsed.Stmts {
		if assign, ok := stmt.(*syntax.AssignStmt); ok {
			if name, ok := assign.LHS.(*syntax.Ident); ok && name.Name == "pool" {
				err.At = []syntax.Position{name.NamePos}
			}
		}
	}
	return err
}

// store is the registry of the pool.
func (d *domain) store(t *starlark.Thread) (*registry.Store, error) {
	p, err := d.current(t)
	if err != nil {
		return nil, err
	}
	return registry.Open(engine.World(t), p.root), nil
}
