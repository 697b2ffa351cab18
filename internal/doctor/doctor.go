// Package doctor looks at what kinfra needs and finds on a machine, and says of each
// thing whether it is well, and what to do if it isn't. It changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

// Verdict is how something is.
type Verdict string

// What can be said of something.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // it works, but somebody should look at it
	Fail Verdict = "fail" // something will not work
)

// Cause says what kind of thing has failed.
type Cause int

// The kinds; the graver ones are greater.
const (
	Other   Cause = iota // scripts that can't be used, say
	System               // the system doesn't let us look: too many open files, a missing permission
	Missing              // something that kinfra needs is not there
	Damaged              // state that is no such state, or is another user's
)

// Finding is one thing that was looked at.
type Finding struct {
	Area    string // "docker", "registry"
	Verdict Verdict
	Cause   Cause  // of a Fail
	Text    string // what was found
	Cure    string // what to do about it; empty where nothing is to be done
}

func ok(area, format string, args ...any) Finding {
	return Finding{Area: area, Verdict: OK, Text: fmt.Sprintf(format, args...)}
}

func warn(area, cure, format string, args ...any) Finding {
	return Finding{Area: area, Verdict: Warn, Text: fmt.Sprintf(format, args...), Cure: cure}
}

func fail(area string, cause Cause, err error, cure string) Finding {
	if cause == Damaged && world.IsSystemError(err) {
		cause, cure = System, "nothing is known to be damaged: see why the system refuses this, and look again"
	}
	if hinted, ok := errors.AsType[hinter](err); ok && hinted.Hint() != "" {
		cure = hinted.Hint()
	}
	return Finding{Area: area, Verdict: Fail, Cause: cause, Text: err.Error(), Cure: cure}
}

// hinter is an error that says what to do next.
type hinter interface {
	error
	Hint() string
}

// Failed is a finding about an error; its cure is the error's hint, if it has one.
func Failed(area string, cause Cause, err error, cure string) Finding {
	return fail(area, cause, err, cure)
}

// Machine looks at the programs that kinfra needs.
func Machine(ctx context.Context, w world.World) []Finding {
	return []Finding{dockerEngine(ctx, w), composePlugin(ctx, w), git(ctx, w)}
}

func dockerEngine(ctx context.Context, w world.World) Finding {
	const cure = "start Docker, or install it: https://docs.docker.com/engine/install; without it slots can be made and claimed, but no stack started"
	engine, err := docker.Open(w)
	if err == nil {
		_, err = engine.Containers(ctx)
	}
	if err != nil {
		return fail("docker", Missing, err, cure)
	}
	endpoint, _ := docker.Locate(w)
	version, err := ask(ctx, w, "docker", "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return warn("docker", "install the docker command: https://docs.docker.com/engine/install", "the Engine at %s answers, but its version is not known: %v", endpoint.Host, err)
	}
	return ok("docker", "Engine %s at %s", version, endpoint.Host)
}

func composePlugin(ctx context.Context, w world.World) Finding {
	if err := stack.CheckCompose(ctx, w); err != nil {
		return fail("compose", Missing, err, "install the Compose plugin of docker: https://docs.docker.com/compose/install")
	}
	version, err := ask(ctx, w, "docker", "compose", "version", "--short")
	if err != nil {
		return fail("compose", Missing, fmt.Errorf("docker compose does not run: %w", err), "install the Compose plugin anew: https://docs.docker.com/compose/install")
	}
	return ok("compose", "version %s", strings.TrimPrefix(version, "v"))
}

func git(ctx context.Context, w world.World) Finding {
	version, err := ask(ctx, w, "git", "--version")
	if err != nil {
		return warn("git", "install git, or claim for directories by name, with --for", "there is no git, by which worktrees are made: %v", err)
	}
	return ok("git", "version %s", strings.TrimPrefix(version, "git version "))
}

// ask gives the first line that a program prints.
func ask(ctx context.Context, w world.World, args ...string) (string, error) {
	const timeout = 10 * time.Second
	out, err := w.Processes.Run(ctx, world.Command{Args: args, Dir: "/", Env: world.CleanEnv(w), ReadOnly: true, Timeout: timeout})
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "\n")
	if out.Code != 0 || line == "" {
		words, _, _ := strings.Cut(strings.TrimSpace(string(out.Stderr)), "\n")
		return "", fmt.Errorf("%s ended with code %d: %s", strings.Join(args, " "), out.Code, words)
	}
	return line, nil
}
