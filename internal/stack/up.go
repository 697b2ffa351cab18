package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Options say how a stack is to be started.
type Options struct {
	Ports   []compose.Port            // what it publishes: these are to be free
	Clean   bool                      // remove its containers and volumes first
	Timeout time.Duration             // how long it may take until all is healthy; 5 minutes if 0
	Report  func(docker.ServiceState) // is told of each change of a service; may be nil

	// Begin is called when nothing stands in the way any more, and before anything is
	// started, which an error prevents; may be nil.
	Begin func(context.Context) error

	// Undone is called when a start that has failed was taken down again, with a
	// context that hasn't ended; may be nil.
	Undone func(context.Context) error
}

const (
	defaultTimeout  = 5 * time.Minute
	takeDownTimeout = 2 * time.Minute
)

// Up starts the stack, or what of it doesn't run, and waits until all its services
// run and are healthy. One without a health check has to run for a moment.
//
// Before anything is started the ports must be free, but for those that the stack's
// own containers have. Once something was, a failure takes everything down again,
// also when ctx has ended; volumes only if all were made by this start, since
// otherwise they hold what somebody has worked on. The errors are
// docker.ErrUnavailable, ErrNoCompose, ErrInTheWay, ErrPortTaken, ErrImageMissing and
// ErrUnhealthy; what Compose fails at otherwise is reported in its words.
func Up(ctx context.Context, w world.World, s Stack, o Options) error {
	if err := s.checkSecrets(w); err != nil {
		return err
	}
	u, err := prepare(ctx, w, s, o)
	if err != nil {
		return err
	}
	state, err := u.checkWay(ctx)
	if err != nil {
		return err
	}
	if o.Clean {
		if err := Down(ctx, w, s, true); err != nil {
			return fmt.Errorf("cleaning up before the start: %w", err)
		}
		state = docker.State{}
	}
	volumes, err := s.labelled(ctx, w, "volume")
	if err != nil {
		return fmt.Errorf("starting project %s: %w", s.Project, err)
	}
	if o.Clean && len(volumes) > 0 {
		return fmt.Errorf("starting project %s: a volume of its last holder could not be removed: %s", s.Project, volumes[0])
	}
	if o.Begin != nil {
		if err := o.Begin(ctx); err != nil {
			return err
		}
	}
	command := []string{"up", "--detach", "--remove-orphans"}
	if s.Build {
		command = append(command, "--build")
	}
	err = u.start(ctx, state, command...)
	if err == nil || errors.Is(err, world.ErrPlanned) {
		return err
	}
	return u.takeDown(ctx, err, len(volumes) == 0)
}

// Restart restarts the stack's containers and waits as Up does. After a failure they
// stay as they are. A stack without containers is an ErrNotStarted. Of the options
// only Timeout and Report count.
func Restart(ctx context.Context, w world.World, s Stack, o Options) error {
	u, err := prepare(ctx, w, s, o)
	if err != nil {
		return err
	}
	containers, err := u.engine.Containers(ctx)
	if err != nil {
		return err
	}
	state := s.of(w, containers)
	if err := s.inTheWay(state); err != nil {
		return err
	}
	if len(state.Containers) == 0 {
		return hint.Wrap(fmt.Errorf("restarting project %s: %w", s.Project, ErrNotStarted), "start it first")
	}
	return u.start(ctx, state, "restart")
}

// checkWay tells whether anything stands in the way of a start, and what there is of
// the stack already. While the Engine starts a container, as after a start that was
// killed, its ports are taken but not yet listed: then it looks again.
func (u *upper) checkWay(ctx context.Context) (docker.State, error) {
	const tries = 10
	for try := 1; ; try++ {
		containers, err := u.engine.All(ctx)
		if err != nil {
			return docker.State{}, err
		}
		state := u.stack.of(u.world, containers)
		if err := u.stack.inTheWay(state); err != nil {
			return state, err
		}
		err = u.checkPorts(ctx, state, containers)
		if err == nil || try == tries || !slices.ContainsFunc(state.Containers, beingStarted) {
			return state, err
		}
		if err := u.world.Clock.Sleep(ctx, pollEvery); err != nil {
			return state, fmt.Errorf("starting project %s: %w", u.stack.Project, err)
		}
	}
}

// beingStarted tells whether the Engine may be starting a container right now.
func beingStarted(c docker.Container) bool { return c.State == "created" || c.State == "restarting" }

// upper is a start under way.
type upper struct {
	world   world.World
	engine  *docker.Engine
	stack   Stack
	options Options
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
	return &upper{w, engine, s, o}, CheckCompose(ctx, w)
}

// of is the stack's state among all containers.
func (s Stack) of(w world.World, containers []docker.Container) docker.State {
	states, _ := docker.Survey(w, s.Root, containers, []docker.Expected{{Project: s.Project}})
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
// and all services are up, or something has failed.
func (u *upper) start(ctx context.Context, before docker.State, command ...string) error {
	_, began, err := u.world.Clock.BootTime() // the wall clock may be set meanwhile
	if err != nil {
		return fmt.Errorf("starting project %s: %w", u.stack.Project, err)
	}
	composing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	running := true
	go func() { ended <- u.stack.runCompose(composing, u.world, u.options.Timeout+time.Minute, command...) }()
	defer func() {
		stop()
		if running {
			<-ended // nothing is to be started any more once this returns
		}
	}()
	watch := newWatch(u, before)
	for {
		if running {
			select {
			case err := <-ended:
				running = false
				if err != nil {
					return u.diagnose(ctx, watch, err)
				}
				watch.composed = true
			default:
			}
		}
		if err := watch.look(ctx); err != nil {
			return err
		}
		switch elapsed := watch.now - began; {
		case len(watch.failed) > 0:
			return &UnhealthyError{Project: u.stack.Project, Failures: u.failures(ctx, watch.failed)}
		case !running && len(watch.pending) == 0:
			return nil
		case elapsed > u.options.Timeout:
			reason := fmt.Sprintf("not healthy after %s", u.options.Timeout)
			return &UnhealthyError{u.stack.Project, reason, u.failures(ctx, watch.pending), world.ErrTimeout}
		}
		if err := u.world.Clock.Sleep(ctx, pollEvery); err != nil {
			return fmt.Errorf("waiting for project %s: %w", u.stack.Project, err)
		}
	}
}

// diagnose finds out why Compose has failed.
func (u *upper) diagnose(ctx context.Context, watch *watch, composeErr error) error {
	if ctx.Err() != nil || errors.Is(composeErr, world.ErrPlanned) {
		return composeErr
	}
	containers, err := u.engine.All(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%w", composeErr, err)
	}
	state := u.stack.of(u.world, containers)
	watch.gaveUp = true
	if watch.see(state); len(watch.failed) > 0 {
		return &UnhealthyError{Project: u.stack.Project, Failures: u.failures(ctx, watch.failed), Err: composeErr}
	}
	if err := u.checkPorts(ctx, state, containers); err != nil {
		return err
	}
	if images := u.missingImages(ctx); len(images) > 0 {
		return hint.Wrap(&ImageMissingError{u.stack.Project, images, composeErr}, "build it, or pull it where there is a network: docker pull %s", images[0])
	}
	return composeErr
}

// missingImages are the stack's images that the Engine doesn't have.
func (u *upper) missingImages(ctx context.Context) []string {
	const timeout = 20 * time.Second
	config := u.stack.command(u.world, timeout, "config", "--images")
	config.ReadOnly = true
	out, err := u.world.Processes.Run(ctx, config)
	if err != nil || out.Code != 0 {
		return nil
	}
	var missing []string
	seen := map[string]bool{}
	for image := range strings.Lines(string(out.Stdout)) {
		image = strings.TrimSpace(image)
		if image == "" || seen[image] {
			continue
		}
		seen[image] = true
		out, err := runDocker(ctx, u.world, true, "image", "inspect", "--format", "{{.Id}}", "--", image)
		if err == nil && out.Code != 0 && strings.Contains(strings.ToLower(string(out.Stderr)), "no such image") {
			missing = append(missing, image)
		}
	}
	return missing
}

// failures are the containers with their last words.
func (u *upper) failures(ctx context.Context, containers []docker.Container) []Failure {
	const lines = 10
	var failures []Failure
	for _, c := range containers {
		f := Failure{Service: c.Service, Container: c.Name, Status: c.Status}
		if f.Status == "" {
			f.Status = c.State
		}
		out, err := runDocker(ctx, u.world, true, "logs", "--tail", fmt.Sprint(lines), "--", c.ID)
		if err == nil {
			for _, stream := range [][]byte{out.Stdout, out.Stderr} {
				if text := lastLines(u.stack.redact(stream), lines); text != "" {
					f.Logs = append(f.Logs, strings.Split(text, "\n")...)
				}
			}
		}
		failures = append(failures, f)
	}
	return failures
}

// takeDown removes what a failed start has left, whether or not ctx has ended, and
// returns why the start failed. A network or container that the Engine was still
// making when Compose was ended may appear late, so it looks again.
func (u *upper) takeDown(ctx context.Context, cause error, volumes bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeDownTimeout)
	defer cancel()
	for range 3 {
		err := Down(ctx, u.world, u.stack, volumes)
		if err == nil {
			err = u.world.Clock.Sleep(ctx, pollEvery)
		}
		left := 0
		if err == nil {
			left, err = u.left(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w\ntaking it down again: %w", cause, err)
		}
		if left == 0 {
			break
		}
	}
	if u.options.Undone == nil {
		return cause
	}
	if err := u.options.Undone(ctx); err != nil {
		return fmt.Errorf("%w\nafter taking it down again: %w", cause, err)
	}
	return cause
}

// left counts the stack's containers and networks.
func (u *upper) left(ctx context.Context) (int, error) {
	state, err := u.stack.look(ctx, u.world, u.engine)
	if err != nil {
		return 0, err
	}
	networks, err := u.stack.labelled(ctx, u.world, "network")
	return len(state.Containers) + len(networks), err
}
