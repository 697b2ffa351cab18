package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Options say how a stack is to be started.
type Options struct {
	Ports   []compose.Port            // what it publishes: these are to be free
	Clean   bool                      // remove its containers and the volumes that it has made first
	Made    Volumes                   // the record of these
	Keep    bool                      // leave what a failed start has started, for a look
	Timeout time.Duration             // how long it may take until all is healthy; 5 minutes if 0
	Report  func(docker.ServiceState) // is told of each change of a service; may be nil
	Tell    func(string)              // is told what is left after an interruption; may be nil

	// Phase is told, in a few words, what begins and may take a time; may be nil. A dry run
	// has no phases.
	Phase func(string)

	// Follow is told the lines that Compose prints while it builds, pulls and starts, on a
	// goroutine of its own, but for those about services that Report tells of. Whoever follows
	// masks the secrets in them. It may be nil.
	Follow func(from world.Stream, piece []byte)

	// Begin is called when nothing stands in the way any more, and before anything is
	// started, which an error prevents; may be nil. It is to keep the record, in which
	// what the start may make stands already.
	Begin func(context.Context, Volumes) error

	// Record keeps the record when it has changed, also with a context that ends later
	// than that of the start; may be nil.
	Record func(context.Context, Volumes) error

	// Undone is called when a start that has failed was taken down again, with a
	// context that hasn't ended; may be nil.
	Undone func(context.Context) error
}

const (
	defaultTimeout  = 5 * time.Minute
	takeDownTimeout = 2 * time.Minute

	// composeGrace is how much longer than a start Compose may take.
	composeGrace = time.Minute
)

// Up starts the stack, or what of it doesn't run, and waits until all its services
// run and are healthy. One without a health check has to run for a moment, or
// to end with exit code 0 for good.
//
// Before anything is changed, Compose must be able to read the files, the ports must be
// free but for those that the stack's own containers have, the images are pulled and
// built, and for a clean start no volume may have the project's name of which it isn't
// certain that the stack has made it. A failure until then leaves all as it was.
//
// A failure after that, or the end of ctx, takes down again what was started from nothing:
// the containers, the networks, and the volumes that this start has made. Where there were
// containers of the stack before, everything is left, and the error says what runs, and
// which of those containers are gone. With Keep everything is left in any case; the error
// is an ErrKept, too.
//
// The errors are docker.ErrUnavailable, ErrNoCompose, ErrInTheWay, ErrForeignVolumes,
// ErrPortTaken, ErrImageMissing and ErrUnhealthy; what Compose fails at otherwise is
// reported in its words.
func Up(ctx context.Context, w world.World, s Stack, o Options) error {
	if err := s.checkSecrets(w); err != nil {
		return err
	}
	u, err := prepare(ctx, w, s, o)
	if err != nil {
		return err
	}
	u.phase("checking ports and containers")
	if u.before, err = u.checkWay(ctx); err != nil {
		return err
	}
	names, err := u.makeReady(ctx)
	if err != nil && !errors.Is(err, world.ErrPlanned) { // a dry run goes on to the start
		return err
	}
	if err := u.clean(ctx); err != nil {
		return err
	}
	if err := u.begin(ctx, names); err != nil {
		return err
	}
	u.phase("starting the containers")
	err = u.start(ctx, u.before, "up", "--detach", "--remove-orphans", "--no-build")
	switch {
	case errors.Is(err, world.ErrPlanned):
		return err
	case err == nil:
		return u.recordMade(ctx)
	case o.Keep:
		return &keptError{u.leave(ctx, err)}
	case len(u.before.Containers) > 0:
		return u.leave(ctx, err)
	}
	return u.takeDown(ctx, err)
}

// makeReady does what can be done without changing anything of the stack, and finds the
// volumes of others. names are the volumes that Compose uses, and makes if they aren't
// there.
func (u *upper) makeReady(ctx context.Context) (names []string, err error) {
	if u.volumes, err = u.engine.Volumes(ctx); err != nil {
		return nil, err
	}
	u.own = u.stack.own(u.volumes, u.before.Containers, u.record.made)
	if err := u.foreignVolumes(nil); err != nil { // before Compose is asked, so that a dry run tells it, too
		return nil, err
	}
	u.phase("reading the files")
	r, err := u.stack.resolve(ctx, u.world)
	if err != nil {
		return nil, u.untouched(err)
	}
	u.restarted = r.restarted()
	names = r.volumes()
	if err := u.foreignVolumes(names); err != nil {
		return nil, err
	}
	return names, u.untouched(u.obtain(ctx, r))
}

// foreignVolumes refuses a clean start while there are volumes that it couldn't clean.
func (u *upper) foreignVolumes(names []string) error {
	if !u.options.Clean {
		return nil
	}
	if foreign := u.stack.foreign(u.volumes, u.own, names); len(foreign) > 0 {
		return &ForeignVolumesError{u.stack.Project, foreign}
	}
	return nil
}

// clean removes what is left of the last holder, if there is anything.
func (u *upper) clean(ctx context.Context) error {
	if !u.options.Clean || len(u.before.Containers)+len(u.own) == 0 {
		return nil
	}
	u.phase("removing what the last holder has left")
	err := Down(ctx, u.world, u.stack, DownOptions{Volumes: true, Made: u.record.made, Record: u.record.save})
	if err != nil && !errors.Is(err, world.ErrPlanned) {
		return fmt.Errorf("cleaning up before the start: %w", err)
	}
	u.before = docker.State{}
	if err != nil { // in a dry run, which goes on as if nothing were left
		u.own = nil
		return nil
	}
	if u.volumes, err = u.engine.Volumes(ctx); err != nil {
		return err
	}
	if u.own = u.stack.own(u.volumes, nil, u.own); len(u.own) > 0 {
		return fmt.Errorf("starting project %s: a volume of its last holder could not be removed: %s", u.stack.Project, slices.Sorted(maps.Keys(u.own))[0])
	}
	return u.foreignVolumes(nil)
}

// begin records which volumes the start may make.
func (u *upper) begin(ctx context.Context, names []string) error {
	u.record.made = maps.Clone(u.own)
	for _, name := range names {
		if !slices.ContainsFunc(u.volumes, func(v docker.Volume) bool { return v.Name == name }) {
			u.record.made[name] = expect(u.world.Clock.Now().Add(u.options.Timeout + composeGrace))
		}
	}
	if u.options.Begin == nil {
		return nil
	}
	return u.options.Begin(ctx, maps.Clone(u.record.made))
}

// recordMade records the volumes of the stack as they are, where it has made any.
func (u *upper) recordMade(ctx context.Context) error {
	if len(u.record.made) == 0 {
		return nil
	}
	var containers []docker.Container
	var volumes []docker.Volume
	err := u.patiently(ctx, func(ctx context.Context) (err error) {
		if containers, err = u.engine.Containers(ctx); err == nil {
			volumes, err = u.engine.Volumes(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	return u.record.set(ctx, u.stack.own(volumes, u.state(containers).Containers, u.record.made))
}

// Restart restarts the stack's containers and waits as Up does. But where Compose gives up
// because one is unhealthy that others are restarted after, it fails: to run Compose again
// would restart that one, too. After a failure they stay as they are. A stack without
// containers is an ErrNotStarted. Of the options only Timeout, Report, Phase and Follow
// count.
func Restart(ctx context.Context, w world.World, s Stack, o Options) error {
	u, err := prepare(ctx, w, s, o)
	if err != nil {
		return err
	}
	containers, err := u.engine.Containers(ctx)
	if err != nil {
		return err
	}
	state := u.state(containers)
	if err := s.inTheWay(state); err != nil {
		return err
	}
	if len(state.Containers) == 0 {
		return hint.Wrap(fmt.Errorf("restarting project %s: %w", s.Project, ErrNotStarted), "start it first")
	}
	u.phase("restarting the containers")
	return u.start(ctx, state, "restart")
}

// checkWay tells whether anything stands in the way of a start, and what there is of
// the stack already. While the Engine starts a container, as after a start or a restart that
// was killed, or because it restarts what has ended, a process of the Engine's has the port,
// but no container is listed with it yet. Then it looks again, for as long as a start may take.
func (u *upper) checkWay(ctx context.Context) (docker.State, error) {
	const startingTime = 15 * time.Second
	for waited := time.Duration(0); ; waited += pollEvery {
		containers, err := u.engine.All(ctx)
		if err != nil {
			return docker.State{}, err
		}
		state := u.state(containers)
		if err := u.stack.inTheWay(state); err != nil {
			return state, err
		}
		err = u.checkPorts(ctx, state, containers)
		taken, ok := errors.AsType[*PortTakenError](err)
		if !ok || !taken.byEngine() || !slices.ContainsFunc(state.Containers, mayBeStarting) || waited >= startingTime {
			return state, err
		}
		if err := u.world.Clock.Sleep(ctx, pollEvery); err != nil {
			return state, fmt.Errorf("starting project %s: %w", u.stack.Project, err)
		}
	}
}

// mayBeStarting tells whether the Engine may be starting a container right now.
func mayBeStarting(c docker.Container) bool { return c.State != "running" }

// upper is a start under way.
type upper struct {
	world   world.World
	engine  *docker.Engine
	stack   Stack
	options Options
	record  record
	began   time.Duration // since the machine was started: the wall clock may be set meanwhile

	before  docker.State    // what there was of the stack
	volumes []docker.Volume // all of the Engine
	own     Volumes         // of these the ones that the stack has made

	restarted map[string]bool // services that the Engine restarts whatever they end with
}

func (u *upper) expected() docker.Expected {
	return docker.Expected{Project: u.stack.Project, Restarted: u.restarted}
}

// state is the stack's state among all containers.
func (u *upper) state(containers []docker.Container) docker.State {
	return u.stack.among(u.world, containers, u.expected())
}

// elapsed is how much of the time is over.
func (u *upper) elapsed() (time.Duration, error) {
	_, now, err := u.world.Clock.BootTime()
	if err != nil {
		return 0, fmt.Errorf("waiting for project %s: %w", u.stack.Project, err)
	}
	return now - u.began, nil
}

// left is how much of the time there is left, and a second at least.
func (u *upper) left() time.Duration {
	elapsed, err := u.elapsed()
	if err != nil {
		return u.options.Timeout
	}
	return max(time.Second, u.options.Timeout-elapsed)
}

// patiently asks the Engine, and asks again while it doesn't answer in time, until the
// start's time is over: while Compose has it make containers it may be slow.
func (u *upper) patiently(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, u.left())
			defer cancel()
			return ask(ctx)
		}()
		if ctx.Err() != nil || !docker.IsSlow(err) {
			return err
		}
		elapsed, clockErr := u.elapsed()
		if clockErr != nil || elapsed >= u.options.Timeout {
			return err
		}
		if sleepErr := u.world.Clock.Sleep(ctx, min(pollEvery, u.options.Timeout-elapsed)); sleepErr != nil {
			return err
		}
	}
}

func (u *upper) phase(words string) {
	if u.options.Phase != nil && !u.world.Planned() {
		u.options.Phase(words)
	}
}

func prepare(ctx context.Context, w world.World, s Stack, o Options) (*upper, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Report == nil {
		o.Report = func(docker.ServiceState) {}
	}
	engine, err := docker.Open(w)
	if err != nil {
		return nil, err
	}
	_, began, err := w.Clock.BootTime()
	if err != nil {
		return nil, fmt.Errorf("starting project %s: %w", s.Project, err)
	}
	u := &upper{world: w, engine: engine, stack: s, options: o, record: record{o.Made, o.Record}, began: began}
	return u, CheckCompose(ctx, w)
}

// of is the stack's state among all containers, where nothing is known of its services.
func (s Stack) of(w world.World, containers []docker.Container) docker.State {
	return s.among(w, containers, docker.Expected{Project: s.Project})
}

func (s Stack) among(w world.World, containers []docker.Container, expected docker.Expected) docker.State {
	states, _ := docker.Survey(w, s.Root, containers, []docker.Expected{expected})
	return states[0]
}

// inTheWay refuses a project whose name somebody else uses.
func (s Stack) inTheWay(state docker.State) error {
	if len(state.InTheWay) == 0 {
		return nil
	}
	return hint.Wrap(&InTheWayError{s.Project, state.InTheWay}, "stop that project, or give this pool's projects another name")
}

// start runs a Compose command and watches the services, until the command has ended
// and all services are up, something has failed for good, or the time is over.
func (u *upper) start(ctx context.Context, before docker.State, command ...string) error {
	if u.world.Planned() {
		return u.stack.runCompose(ctx, u.world, u.options.Timeout+composeGrace, nil, command...) // there is nothing to watch
	}
	composing := u.compose(ctx, command)
	defer func() { composing.end() }() // nothing is to be started any more once this returns
	watch, waits := newWatch(u, before), false
	for {
		if err, ended := composing.result(); ended {
			watch.composing, watch.composed = false, err == nil
			if err != nil {
				if watch.awaited = tooEarly(err); watch.awaited == "" || command[0] != "up" {
					return u.diagnose(ctx, watch, err)
				}
				u.phase("waiting until " + watch.awaited + " is healthy, to start what needs it")
			}
		}
		lookErr := watch.look(ctx)
		if lookErr != nil && (ctx.Err() != nil || !docker.IsSlow(lookErr)) {
			return lookErr
		}
		elapsed, err := u.elapsed()
		switch {
		case err != nil:
			return err
		case len(watch.failed) > 0:
			return &UnhealthyError{Project: u.stack.Project, Failures: u.failures(ctx, watch.failed)}
		case watch.composed && len(watch.pending) == 0:
			return nil
		case elapsed >= u.options.Timeout:
			reason := fmt.Sprintf("not healthy after %s", u.options.Timeout)
			if lookErr != nil {
				reason += ", and " + lookErr.Error()
			}
			return &UnhealthyError{u.stack.Project, reason, u.failures(ctx, watch.pending), world.ErrTimeout}
		case !watch.composing && !watch.composed && !watch.ailing:
			u.phase("starting the other containers")
			composing, watch.composing = u.compose(ctx, command), true
		case watch.composed && !waits:
			u.phase("waiting until all is healthy")
			waits = true
		}
		if err := u.world.Clock.Sleep(ctx, min(pollEvery, u.options.Timeout-elapsed)); err != nil {
			return fmt.Errorf("waiting for project %s: %w", u.stack.Project, err)
		}
	}
}

// composing is a Compose command under way.
type composing struct {
	stop  func()
	ended chan error
}

func (u *upper) compose(ctx context.Context, command []string) *composing {
	ctx, stop := context.WithCancel(ctx)
	c := &composing{stop, make(chan error, 1)}
	timeout := u.left() + composeGrace
	go func() {
		defer close(c.ended)
		c.ended <- u.stack.runCompose(ctx, u.world, timeout, u.options.Follow, command...)
	}()
	return c
}

// result tells once how the command has ended.
func (c *composing) result() (err error, ended bool) {
	select {
	case err, ended = <-c.ended:
	default:
	}
	return err, ended
}

// end ends the command, if it hasn't ended, and waits until it has.
func (c *composing) end() {
	c.stop()
	for range c.ended {
	}
}
