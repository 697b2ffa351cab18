package builtins

import (
	"errors"
	"fmt"
	"strings"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

func (d *domain) stackModule() table.Module {
	held := table.Param{Name: "claim", Type: table.Of[*claimValue]("a claim"), Help: "the claim in whose name it is done"}
	timeout := table.Param{Name: "timeout", Type: table.Duration(), Named: true, Optional: true, Default: starlark.String("5m"), Help: "how long it may take until all is healthy"}
	words := table.Param{Name: "args", Type: table.Strings(), Help: "what Compose gets behind the subcommand"}
	const waits = "Docker or Compose that aren't there (6); a port that somebody else has, or for a new holder a volume of the project's name that may not be the slot's (4); a service that ends with an error or doesn't get healthy in time, with its last log lines."
	return table.Module{
		Name: "stack", Doc: "What runs in the slots, by Docker Compose.",
		Builtins: []table.Builtin{
			{
				Name: "stack.up", Changes: true, Doc: "Starts the stack of a claimed slot, with the worktree's code mounted, and waits until all of it is healthy, or has ended with exit code 0. After a change of holder it begins with clean volumes. Nothing is changed until Compose has read the files and the images are there. A failure after that takes down what was started from nothing, and nothing where there were containers before.",
				Params: []table.Param{held, timeout, {Name: "keep", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "leave what a failed start has started, for a look"}},
				Errors: waits, Run: d.stackUp,
				Example: `held = claim.take(claim.worktree())
stack.up(held, timeout = "2m")
stack.survey().slots[0].status  # -> "running"`,
			},
			{
				Name: "stack.down", Changes: true, Doc: "Stops the stack of a claimed slot and removes its containers and networks.",
				Params: []table.Param{held, {Name: "volumes", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "the volumes that were made for the slot, too"}},
				Errors: "Docker that can't be reached (6).", Run: d.stackDown,
				Example: `held = claim.take(claim.worktree())
stack.up(held)
stack.down(held, volumes = True)
stack.survey().slots[0].status  # -> "stopped"`,
			},
			{
				Name: "stack.restart", Changes: true, Doc: "Restarts the containers of a claimed slot and waits until all are healthy.",
				Params: []table.Param{held, timeout}, Errors: waits, Run: d.stackRestart,
				Example: `held = claim.take(claim.worktree())
stack.up(held)
stack.restart(held)`,
			},
			{
				Name: "stack.survey", Reads: true, Doc: "Tells how all slots are now, with one request to the Docker Engine. It changes nothing.",
				Result: "`struct(slots, strays, engine)`: slots is a list of `struct(id, profile, path, project, ports, workers, claim, contender, status, recorded, up, want, services, in_the_way, problem)`, ascending; " +
					"status is running, partial, starting, unhealthy or stopped, or None where the Engine can't be asked, and recorded the one of the registry; up is how many containers run or are done, which is to have ended with exit code 0 without being restarted; services is a list of `struct(service, status, up, want)`, with a status of these or done, in_the_way the names of containers of others under the slot's project name; " +
					"strays is a list of `struct(name, project)` of containers of this root that belong to no slot; engine says why the Engine can't be asked, and is None otherwise",
				Errors: "A registry that can't be read.", Run: d.survey,
				Example: `[(s.id, s.status) for s in stack.survey().slots]
# -> [(1, "stopped"), (2, "stopped"), (3, "stopped")]`,
			},
			{
				Name: "stack.attach", Changes: true, Doc: "Runs logs, exec or a shell in the stack of a slot, with the terminal passed through. It ends the command with the exit code of what it ran.",
				Params: []table.Param{
					{Name: "slot", Type: table.Int(), Help: "the slot's number"},
					{Name: "command", Type: table.String(), Help: "logs, exec or shell"},
					words,
				},
				Errors: "A slot or a service that isn't there (2); Compose that isn't there (6); an unknown command.", Run: d.attach,
				Example: `held = claim.take(claim.worktree())
stack.up(held)
stack.attach(held.slot, "logs", ["--tail", "10"])`,
			},
		},
	}
}

// upOptions are those of a start that is shown as it goes on. done is to be called when it
// has ended.
func (d *domain) upOptions(c *table.Call) (o lifecycle.UpOptions, done func()) {
	run := engine.Current(c.Thread)
	compose := run.Printer(false)
	return lifecycle.UpOptions{
		Timeout: c.Duration("timeout"), Phase: run.Progress, Follow: compose.Print,
		Report: func(s docker.ServiceState) {
			run.Progress(fmt.Sprintf("  %s: %s (%d/%d)", s.Service, s.Status, s.Up, s.Want))
		},
	}, compose.Close
}

func (d *domain) stackUp(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	held := c.Value("claim").(*claimValue).claim
	options, done := d.upOptions(c)
	options.Keep = c.Bool("keep")
	err = m.Up(engine.Context(c.Thread), held, options)
	done()
	if errors.Is(err, stack.ErrKept) {
		err = hint.Wrap(err, "kinfra sandbox logs %[1]d shows more; kinfra sandbox down %[1]d takes it down", held.Slot)
	}
	return starlark.None, named(c, planned(c, fmt.Sprintf("Would start the stack of slot %d", held.Slot), err))
}

func (d *domain) stackDown(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	held := c.Value("claim").(*claimValue).claim
	err = m.Down(engine.Context(c.Thread), held, c.Bool("volumes"))
	return starlark.None, named(c, planned(c, fmt.Sprintf("Would stop the stack of slot %d", held.Slot), err))
}

func (d *domain) stackRestart(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	held := c.Value("claim").(*claimValue).claim
	options, done := d.upOptions(c)
	err = m.Restart(engine.Context(c.Thread), held, options)
	done()
	return starlark.None, named(c, planned(c, fmt.Sprintf("Would restart the stack of slot %d", held.Slot), err))
}

// named puts the builtin's name before an error.
func named(c *table.Call, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.Builtin.Name, err)
}

func (d *domain) survey(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	all, err := m.Survey(engine.Context(c.Thread))
	if err != nil {
		return nil, err
	}
	var unreachable starlark.Value = starlark.None
	if all.Engine != nil {
		unreachable = starlark.String(all.Engine.Error())
	}
	return engine.Struct(
		"slots", engine.List(all.Slots, func(s lifecycle.SlotState) starlark.Value { return stateValue(m, s, all.Engine == nil) }),
		"strays", engine.List(all.Strays, containerValue),
		"engine", unreachable,
	), nil
}

// stateValue is a slot as it is; known tells whether the Engine could be asked.
func stateValue(m *lifecycle.Manager, s lifecycle.SlotState, known bool) starlark.Value {
	claimed, contender := starlark.Value(starlark.None), starlark.Value(starlark.None)
	if s.Slot.Claim != nil {
		claimed = &claimValue{claim: *s.Slot.Claim}
	}
	if s.Slot.Contender != nil {
		contender = &claimValue{claim: *s.Slot.Contender}
	}
	var status, problem starlark.Value = starlark.None, starlark.None
	if known {
		status = starlark.String(s.State.Status)
	}
	if s.Problem != nil {
		problem = starlark.String(s.Problem.Error())
	}
	return engine.Struct("id", s.Slot.ID, "profile", s.Slot.Profile, "path", m.Dir(s.Slot.ID), "project", s.State.Project,
		"ports", counts(s.Slot.Ports), "workers", counts(s.Slot.Workers), "claim", claimed, "contender", contender,
		"status", status, "recorded", s.Slot.Status, "up", s.State.Up, "want", s.State.Want,
		"services", engine.List(s.State.Services, func(v docker.ServiceState) starlark.Value {
			return engine.Struct("service", v.Service, "status", string(v.Status), "up", v.Up, "want", v.Want)
		}),
		"in_the_way", engine.List(s.State.InTheWay, func(v docker.Container) starlark.Value { return starlark.String(v.Name) }),
		"problem", problem)
}

func containerValue(c docker.Container) starlark.Value {
	return engine.Struct("name", c.Name, "project", c.Project)
}

func (d *domain) attach(c *table.Call) (starlark.Value, error) {
	if engine.Loading(c.Thread) { // before anything is said of a slot
		return nil, named(c, engine.ErrLoading)
	}
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	reg, err := d.load(c.Thread)
	if err != nil {
		return nil, named(c, err)
	}
	if _, there := reg.Slot(c.Int("slot")); !there {
		return nil, named(c, hint.Wrap(fmt.Errorf("%w: %d", slot.ErrUnknownSlot, c.Int("slot")), "kinfra sandbox slots lists them"))
	}
	worktree, err := d.holderOf(c, c.Int("slot"))
	if err != nil {
		return nil, named(c, err)
	}
	s, err := m.Stack(c.Int("slot"), worktree)
	if err != nil {
		return nil, named(c, err)
	}
	w, ctx := engine.World(c.Thread), engine.Context(c.Thread)
	if err := m.CheckServices(ctx, c.Int("slot"), servicesIn(c.String("command"), c.Strings("args"))); err != nil {
		return nil, named(c, err)
	}
	if err := stack.CheckCompose(ctx, w); err != nil {
		return nil, named(c, err)
	}
	command, err := attached(w, s, c.String("command"), c.Strings("args"))
	if err != nil {
		return nil, &table.ArgumentError{Err: named(c, err)}
	}
	code, err := w.Processes.Attach(ctx, command)
	if err != nil { // a dry run shows logs all the same
		return starlark.None, named(c, planned(c, "Would run "+strings.Join(command.Args, " "), err))
	}
	if code != 0 {
		return nil, &engine.ExitError{Exit: code}
	}
	return starlark.None, nil
}

// holderOf is the worktree that holds a slot, "" if none does.
func (d *domain) holderOf(c *table.Call, id int) (string, error) {
	claims, err := d.claims(c.Thread)
	if err != nil {
		return "", err
	}
	slots, err := claims.List(engine.Context(c.Thread))
	if err != nil {
		return "", err
	}
	for _, s := range slots {
		if s.ID == id && s.Claim != nil {
			return s.Claim.Worktree, nil
		}
	}
	return "", nil
}

// servicesIn are the services that a user's words name, as far as that can be told.
func servicesIn(command string, args []string) []string {
	var service string
	switch command {
	case "logs":
		services, _ := stack.ServicesOfLogs(args)
		return services
	case "exec":
		service, _ = stack.ServiceOfExec(args)
	case "shell":
		service = strings.Join(args[:min(1, len(args))], "")
	}
	if service == "" {
		return nil
	}
	return []string{service}
}

// attached is the command that a user's words mean.
func attached(w world.World, s stack.Stack, command string, args []string) (world.Command, error) {
	switch {
	case command == "logs":
		return s.Logs(w, args...), nil
	case command == "shell" && len(args) >= 1 && len(args) <= 2:
		return s.Shell(w, args[0], strings.Join(args[1:], "")), nil
	case command == "shell":
		return world.Command{}, engine.UsageError("kinfra sandbox shell 1 SERVICE", "a shell wants the name of a service, and perhaps of a shell")
	case command == "exec" && len(args) >= 2:
		return s.Exec(w, args...), nil
	case command == "exec":
		return world.Command{}, engine.UsageError("kinfra sandbox exec 1 SERVICE COMMAND", "exec wants the name of a service and a command")
	}
	return world.Command{}, fmt.Errorf("command is %q: want logs, exec or shell", command)
}

func durationOrNone(is bool, d time.Duration) starlark.Value {
	if !is {
		return starlark.None
	}
	return startime.Duration(d)
}
