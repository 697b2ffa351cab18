package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	stopSeconds   = 10 // that a container has to end by itself
	downTimeout   = 2 * time.Minute
	dockerTimeout = time.Minute
)

// DownOptions say what goes with the containers, and what is known of the volumes.
type DownOptions struct {
	Volumes bool    // whether the volumes go that the stack has made
	Made    Volumes // the record of them

	// Record keeps the record when it has changed, so that it outlasts a loss of power; may
	// be nil.
	Record func(context.Context, Volumes) error

	// Tell is told which volumes of the project's name stay because nothing says that the
	// stack made them, where the stack's own are to go; may be nil.
	Tell func(string)

	keep map[string]bool // volumes that stay in any case, by name
}

// Down stops the stack and removes its containers, its networks and, if asked to, the
// volumes that it has made. Then it looks what is left, and removes that itself: also
// where Compose isn't there or can't read the stack's files any more. Running it again
// is safe.
//
// A volume goes only if it is certain that the stack made it: by the record, or because
// its containers use it. Networks that containers of others are on stay. Where another's
// containers have the project's name, only the stack's own containers are removed.
func Down(ctx context.Context, w world.World, s Stack, o DownOptions) error {
	if err := s.check(); err != nil {
		return err
	}
	engine, err := docker.Open(w)
	if err != nil {
		return err
	}
	d := &downer{world: w, engine: engine, stack: s, options: o, record: record{o.Made, o.Record}}
	if err := d.look(ctx); err != nil {
		return err
	}
	if !d.alone {
		return d.finish(ctx, nil)
	}
	volumes, err := engine.Volumes(ctx)
	if err != nil {
		return err
	}
	d.own = s.own(volumes, d.state.Containers, d.record.made)
	if o.Volumes {
		d.tellForeign(volumes)
		if err := d.settle(ctx); err != nil {
			return err
		}
	}
	composeErr := d.composeDown(ctx)
	if errors.Is(composeErr, world.ErrPlanned) || ctx.Err() != nil {
		return composeErr
	}
	if err := d.look(ctx); err != nil {
		return err
	}
	return d.finish(ctx, composeErr)
}

// downer is the end of a stack under way.
type downer struct {
	world   world.World
	engine  *docker.Engine
	stack   Stack
	options DownOptions
	record  record

	own    Volumes         // the volumes that the stack has made, and are there
	state  docker.State    // as of the last look
	alone  bool            // whether nobody else's containers have the project's name
	others map[string]bool // networks that containers of others are on, by name
}

// look asks the Engine which containers there are.
func (d *downer) look(ctx context.Context) error {
	containers, err := d.engine.All(ctx)
	if err != nil {
		return err
	}
	d.state = d.stack.of(d.world, containers)
	d.alone = len(d.state.InTheWay) == 0
	d.others = d.stack.networksOfOthers(d.state, containers)
	return nil
}

// networksOfOthers are the networks that containers are on which aren't the stack's own,
// by name.
func (s Stack) networksOfOthers(state docker.State, containers []docker.Container) map[string]bool {
	own := map[string]bool{}
	for _, c := range state.Containers {
		own[c.ID] = true
	}
	others := map[string]bool{}
	for _, c := range containers {
		for _, network := range c.Networks {
			others[network] = others[network] || !own[c.ID]
		}
	}
	return others
}

// tellForeign tells of the volumes that stay, since somebody may miss them among what goes.
func (d *downer) tellForeign(volumes []docker.Volume) {
	foreign := d.stack.foreign(volumes, d.own, nil)
	if len(foreign) == 0 || d.options.Tell == nil {
		return
	}
	d.options.Tell(fmt.Sprintf("Kept what nothing says that this slot made: %s; docker volume inspect shows more", volumeNames(foreign)))
}

// ownVolumes are the volumes that the stack has made and that are there.
func (d *downer) ownVolumes(ctx context.Context) (Volumes, error) {
	volumes, err := d.engine.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	return d.stack.own(volumes, d.state.Containers, d.record.made), nil
}

// settle sees to it that the record has the volumes that are to go as they are when no
// container tells any more whose they are: should this process be killed between the
// containers and the volumes, the next one knows them. An Engine that has another time
// for a volume after each change has its last one once the containers have stopped.
func (d *downer) settle(ctx context.Context) error {
	known := func() bool {
		for name, created := range d.own {
			if d.record.made[name] != created {
				return false
			}
		}
		return true
	}
	if known() {
		return nil
	}
	if slices.ContainsFunc(d.state.Containers, docker.Container.Running) {
		if err := d.stop(ctx); err != nil {
			return err
		}
		own, err := d.ownVolumes(ctx)
		if err != nil {
			return err
		}
		d.own = own
	}
	return d.record.set(ctx, d.own)
}

// stop stops the containers, in the order of the services if Compose can tell it.
func (d *downer) stop(ctx context.Context) error {
	err := d.compose(ctx, "stop", "--timeout", strconv.Itoa(stopSeconds))
	if err == nil || errors.Is(err, world.ErrPlanned) || ctx.Err() != nil {
		return err
	}
	return d.stack.remove(ctx, d.world, d.ids(), "stop", "--time", strconv.Itoa(stopSeconds))
}

func (d *downer) ids() (ids []string) {
	for _, c := range d.state.Containers {
		ids = append(ids, c.ID)
	}
	return ids
}

// composeDown has Compose do it, which stops the services in their order. It would also
// remove a network that a stopped container of another is on.
func (d *downer) composeDown(ctx context.Context) error {
	networks, err := d.engine.Networks(ctx, d.stack.Project)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(networks, func(n docker.Network) bool { return d.others[n.Name] }) {
		return d.stop(ctx)
	}
	return d.compose(ctx, "down", "--remove-orphans", "--timeout", strconv.Itoa(stopSeconds))
}

// compose runs a Compose command. A missing directory is an error, but no trouble: it may
// have been removed by hand, and the rest does without.
func (d *downer) compose(ctx context.Context, command ...string) error {
	if _, err := d.world.Disk.Host().Lstat(d.stack.Dir); errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := CheckCompose(ctx, d.world); err != nil {
		return err
	}
	return d.stack.runCompose(ctx, d.world, downTimeout, nil, command...)
}

// finish removes what Compose has left, and fails if something is left all the same.
func (d *downer) finish(ctx context.Context, composeErr error) error {
	if err := d.removeLeft(ctx); err != nil {
		return joinErrors(err, composeErr)
	}
	if err := d.look(ctx); err != nil {
		return err
	}
	if n := len(d.state.Containers); n > 0 {
		return joinErrors(fmt.Errorf("taking project %s down: %d containers are left, %s the first", d.stack.Project, n, d.state.Containers[0].Name), composeErr)
	}
	return nil
}

func joinErrors(err, composeErr error) error {
	if composeErr == nil {
		return err
	}
	return fmt.Errorf("%w\nbefore that: %w", err, composeErr)
}

// removeLeft removes containers by their ids and, where the stack is alone under its
// name, its networks and volumes.
func (d *downer) removeLeft(ctx context.Context) error {
	if err := d.stack.remove(ctx, d.world, d.ids(), "rm", "--force", "--volumes"); err != nil {
		return err
	}
	if !d.alone || d.own == nil {
		return nil
	}
	networks, err := d.engine.Networks(ctx, d.stack.Project)
	if err != nil {
		return fmt.Errorf("taking project %s down: %w", d.stack.Project, err)
	}
	for _, n := range networks {
		if d.others[n.Name] {
			continue
		}
		if err := d.stack.removeNetwork(ctx, d.world, n.ID); err != nil {
			return err
		}
	}
	return d.endVolumes(ctx)
}

// endVolumes removes the volumes, or records how those are that stay.
func (d *downer) endVolumes(ctx context.Context) error {
	if d.options.Volumes {
		going := slices.DeleteFunc(slices.Sorted(maps.Keys(d.own)), func(name string) bool { return d.options.keep[name] })
		if err := d.stack.remove(ctx, d.world, going, "volume", "rm"); err != nil {
			return err
		}
	}
	if d.options.Volumes && len(d.options.keep) == 0 && !d.record.made.expects() {
		return nil // the record has times that no volume will have any more: it can stay as it is
	}
	volumes, err := d.engine.Volumes(ctx)
	if err != nil {
		return err
	}
	left := Volumes{}
	for _, v := range volumes {
		if _, ours := d.own[v.Name]; ours {
			left[v.Name] = v.CreatedAt
		}
	}
	return d.record.set(ctx, left)
}

// removeNetwork removes a network. The Engine sometimes miscounts the containers of
// one, when several leave at once, and then keeps it, empty, until it is restarted
// (github.com/moby/moby/issues/42119). Such a network is left: nothing else removes it,
// it does no harm, and the next start uses it.
func (s Stack) removeNetwork(ctx context.Context, w world.World, id string) error {
	const tries = 5 // the containers may be leaving right now
	for range tries {
		err := s.remove(ctx, w, []string{id}, "network", "rm")
		if err == nil || !strings.Contains(err.Error(), "active endpoint") || !isEmpty(ctx, w, id) {
			return err
		}
		if err := w.Clock.Sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return nil
}

// isEmpty tells whether a network has no containers.
func isEmpty(ctx context.Context, w world.World, network string) bool {
	out, err := runDocker(ctx, w, true, "network", "inspect", "--format", "{{json .Containers}}", "--", network)
	if err != nil || out.Code != 0 {
		return false
	}
	containers, err := docker.Lines[map[string]any](out.Stdout)
	return err == nil && len(containers) == 1 && len(containers[0]) == 0
}

// remove removes or stops things, if there are any. That one has gone meanwhile is no
// error.
func (s Stack) remove(ctx context.Context, w world.World, names []string, command ...string) error {
	if len(names) == 0 {
		return nil
	}
	args := append(append(command, "--"), names...)
	out, err := runDocker(ctx, w, false, args...)
	if err != nil {
		return fmt.Errorf("taking project %s down: %w", s.Project, err)
	}
	if out.Code == 0 {
		return nil
	}
	for line := range strings.Lines(strings.ToLower(string(out.Stderr))) {
		if !strings.Contains(line, "no such") && !strings.Contains(line, "not found") && !strings.Contains(line, "already in progress") {
			return fmt.Errorf("taking project %s down: %w", s.Project, dockerFailed(command, out))
		}
	}
	return nil
}

func dockerFailed(command []string, out world.Output) error {
	return fmt.Errorf("docker %s ended with code %d: %s", strings.Join(command, " "), out.Code, lastLines(out.Stderr, 10))
}

// runDocker runs a docker command that is soon done.
func runDocker(ctx context.Context, w world.World, readOnly bool, args ...string) (world.Output, error) {
	return w.Processes.Run(ctx, world.Command{
		Args: append([]string{"docker"}, args...), Dir: "/", Env: world.CleanEnv(w), ReadOnly: readOnly, Timeout: dockerTimeout,
	})
}
