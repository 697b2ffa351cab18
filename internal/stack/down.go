package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// Down stops the stack and removes its containers, its networks and, if asked to, its
// volumes. Then it looks what is left, and removes that itself: also where Compose
// isn't there or can't read the stack's files any more. Running it again is safe.
//
// Where another's containers have the project's name, only the stack's own containers
// are removed: networks and volumes can't be told apart.
func Down(ctx context.Context, w world.World, s Stack, volumes bool) error {
	if err := s.check(); err != nil {
		return err
	}
	engine, err := docker.Open(w)
	if err != nil {
		return err
	}
	state, err := s.look(ctx, w, engine)
	if err != nil {
		return err
	}
	alone := len(state.InTheWay) == 0
	var composeErr error
	if alone {
		composeErr = s.composeDown(ctx, w, volumes)
		if errors.Is(composeErr, world.ErrPlanned) || ctx.Err() != nil {
			return composeErr
		}
		if state, err = s.look(ctx, w, engine); err != nil {
			return err
		}
	}
	if err := s.removeLeft(ctx, w, state, alone, volumes); err != nil {
		return joinErrors(err, composeErr)
	}
	if state, err = s.look(ctx, w, engine); err != nil {
		return err
	}
	if n := len(state.Containers); n > 0 {
		return joinErrors(fmt.Errorf("taking project %s down: %d containers are left, %s the first", s.Project, n, state.Containers[0].Name), composeErr)
	}
	return nil
}

func joinErrors(err, composeErr error) error {
	if composeErr == nil {
		return err
	}
	return fmt.Errorf("%w\nbefore that: %w", err, composeErr)
}

func (s Stack) look(ctx context.Context, w world.World, engine *docker.Engine) (docker.State, error) {
	containers, err := engine.Containers(ctx)
	if err != nil {
		return docker.State{}, err
	}
	return s.of(w, containers), nil
}

// composeDown has Compose do it, which stops the services in their order. A missing
// directory is no error: it may have been removed by hand, and the rest does without.
func (s Stack) composeDown(ctx context.Context, w world.World, volumes bool) error {
	if _, err := w.Disk.Host().Lstat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := CheckCompose(ctx, w); err != nil {
		return err
	}
	command := []string{"down", "--remove-orphans", "--timeout", strconv.Itoa(stopSeconds)}
	if volumes {
		command = append(command, "--volumes")
	}
	return s.runCompose(ctx, w, downTimeout, command...)
}

// removeLeft removes containers by their ids and, where the stack is alone under its
// name, networks and volumes by their label.
func (s Stack) removeLeft(ctx context.Context, w world.World, state docker.State, alone, volumes bool) error {
	var ids []string
	for _, c := range state.Containers {
		ids = append(ids, c.ID)
	}
	if err := s.remove(ctx, w, ids, "rm", "--force", "--volumes"); err != nil {
		return err
	}
	if !alone {
		return nil
	}
	networks, err := s.labelled(ctx, w, "network")
	if err != nil {
		return fmt.Errorf("taking project %s down: %w", s.Project, err)
	}
	for _, id := range networks {
		if err := s.removeNetwork(ctx, w, id); err != nil {
			return err
		}
	}
	if !volumes {
		return nil
	}
	names, err := s.labelled(ctx, w, "volume")
	if err != nil {
		return fmt.Errorf("taking project %s down: %w", s.Project, err)
	}
	return s.remove(ctx, w, names, "volume", "rm")
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
	out, err := runDocker(ctx, w, true, "network", "inspect", "--format", "{{len .Containers}}", "--", network)
	return err == nil && out.Code == 0 && strings.TrimSpace(string(out.Stdout)) == "0"
}

// labelled lists the networks or volumes that have the project's label.
func (s Stack) labelled(ctx context.Context, w world.World, kind string) ([]string, error) {
	list := []string{kind, "ls", "--quiet", "--filter", "label=com.docker.compose.project=" + s.Project}
	out, err := runDocker(ctx, w, true, list...)
	if err == nil && out.Code != 0 {
		err = dockerFailed(list, out)
	}
	return strings.Fields(string(out.Stdout)), err
}

// remove removes things, if there are any. That one has gone meanwhile is no error.
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
