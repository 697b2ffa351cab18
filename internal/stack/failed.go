package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

// untouched adds to an error that what runs does so still.
func (u *upper) untouched(err error) error {
	if err == nil || errors.Is(err, world.ErrPlanned) || !slices.ContainsFunc(u.before.Containers, docker.Container.Running) {
		return err
	}
	return fmt.Errorf("%w\nnothing was changed: what ran of project %s still runs", err, u.stack.Project)
}

// leave keeps what a failed start has left, whether or not ctx has ended, and returns why
// it failed, what there is, and what was there before and isn't any more.
func (u *upper) leave(ctx context.Context, cause error) error {
	interrupted := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dockerTimeout)
	defer cancel()
	if err := u.recordMade(ctx); err != nil {
		return fmt.Errorf("%w\nafter that: %w", cause, err)
	}
	containers, err := u.engine.Containers(ctx)
	if err != nil {
		return fmt.Errorf("%w\nafter that: %w", cause, err)
	}
	text := u.whatIsLeft(u.state(containers))
	if interrupted && u.options.Tell != nil {
		u.options.Tell(text)
	}
	return fmt.Errorf("%w\n%s", cause, text)
}

// whatIsLeft tells how the stack is after a start that failed and wasn't taken down again.
func (u *upper) whatIsLeft(now docker.State) string {
	var services []string
	for _, s := range now.Services {
		services = append(services, fmt.Sprintf("%s %s (%d/%d)", s.Service, s.Status, s.Up, s.Want))
	}
	text := fmt.Sprintf("project %s had containers before, so nothing was removed", u.stack.Project)
	if len(u.before.Containers) == 0 {
		text = fmt.Sprintf("project %s is left for a look", u.stack.Project)
	}
	text += "; now: " + cmp.Or(strings.Join(services, ", "), "no containers")
	var gone []string
	for _, c := range u.before.Containers {
		if !slices.ContainsFunc(now.Containers, func(n docker.Container) bool { return n.ID == c.ID }) {
			gone = append(gone, c.Name)
		}
	}
	if len(gone) > 0 {
		text += "\ndocker compose has already replaced or removed: " + strings.Join(gone, ", ")
	}
	return text
}

// tooEarly is the container for which Compose has given up because it is unhealthy and
// others wait for it; "" if that isn't why. Compose does so at the first sight of that,
// and leaves those others unstarted.
func tooEarly(composeErr error) string {
	_, rest, _ := strings.Cut(composeErr.Error(), "dependency failed to start: container ")
	if name, _, found := strings.Cut(rest, " is unhealthy"); found {
		return name
	}
	return ""
}

// diagnose finds out why Compose has failed.
func (u *upper) diagnose(ctx context.Context, watch *watch, composeErr error) error {
	if ctx.Err() != nil || errors.Is(composeErr, world.ErrPlanned) {
		return composeErr
	}
	var containers []docker.Container
	err := u.patiently(ctx, func(ctx context.Context) (err error) {
		containers, err = u.engine.All(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%w", composeErr, err)
	}
	state := u.state(containers)
	watch.gaveUp = true
	if watch.see(state); len(watch.failed) > 0 {
		return &UnhealthyError{Project: u.stack.Project, Failures: u.failures(ctx, watch.failed), Err: composeErr}
	}
	if err := u.checkPorts(ctx, state, containers); err != nil {
		return err
	}
	return composeErr
}

// failures are the containers with their last words.
func (u *upper) failures(ctx context.Context, containers []docker.Container) []Failure {
	const lines = 10
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout) // for all of them: the Engine may be slow
	defer cancel()
	var failures []Failure
	for _, c := range containers {
		f := Failure{Service: c.Service, Container: c.Name, Status: c.Status}
		if f.Status == "" {
			f.Status = c.State
		}
		out, err := runDocker(ctx, u.world, true, "logs", "--tail", fmt.Sprint(lines), "--", c.ID)
		if err == nil {
			for _, stream := range [][]byte{out.Stdout, out.Stderr} {
				if text := lastLines(u.stack.masked(stream), lines); text != "" {
					f.Logs = append(f.Logs, strings.Split(text, "\n")...)
				}
			}
		}
		failures = append(failures, f)
	}
	return failures
}

// takeDown removes what a failed start from nothing has left, whether or not ctx has
// ended, and returns why the start failed. A network or container that the Engine was
// still making when Compose was ended may appear late, so it looks again.
func (u *upper) takeDown(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeDownTimeout)
	defer cancel()
	options := DownOptions{Volumes: true, Made: u.record.made, Record: u.record.save, keep: map[string]bool{}}
	for _, v := range u.volumes {
		options.keep[v.Name] = true
	}
	for try := range 3 {
		err := Down(ctx, u.world, u.stack, options)
		if docker.IsSlow(err) && try < 2 {
			continue
		}
		if err == nil {
			err = u.world.Clock.Sleep(ctx, pollEvery)
		}
		left := false
		if err == nil {
			left, err = u.isLeft(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w\ntaking it down again: %w", cause, err)
		}
		if !left {
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

// isLeft tells whether there are containers of the stack, or networks that are to go.
func (u *upper) isLeft(ctx context.Context) (bool, error) {
	containers, err := u.engine.All(ctx)
	if err != nil {
		return false, err
	}
	state := u.state(containers)
	others := u.stack.networksOfOthers(state, containers)
	networks, err := u.engine.Networks(ctx, u.stack.Project)
	left := slices.ContainsFunc(networks, func(n docker.Network) bool { return !others[n.Name] })
	return len(state.Containers) > 0 || left, err
}
