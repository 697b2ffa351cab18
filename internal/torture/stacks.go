package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// stackTemplate is a stack that is up soon, with a port, a volume and a service that
// waits for another.
const stackTemplate = `services:
  web:
    image: kinfra-test/service
    command: ["serve", "80"]
    ports: ["127.0.0.1:${WEB_PORT}:80"]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "curl", "http://localhost/"], interval: 100ms, retries: 100}
  worker:
    image: kinfra-test/service
    healthcheck: {test: ["CMD", "env"], interval: 100ms, retries: 100}
    depends_on:
      web: {condition: service_healthy}
volumes:
  data:
`

const (
	stackContainers = 2
	stacksAtOnce    = 4 // that are started, killed and looked at
)

// stackAct is what is killed, at each of its events: a change of a file, a process that
// is started, a question to the Engine, a pause. While Compose starts a stack, the
// Engine is asked again and again, so a start is killed at many moments of that, too.
type stackAct struct {
	name    string
	prepare []string
	after   [][]string // what is done after it, in turn: the command again, or what ends it all
}

func stackActs() []stackAct {
	return []stackAct{
		{name: deedClaim, after: [][]string{{deedClaim}}},
		{name: deedUp, prepare: []string{deedClaim}, after: [][]string{{deedUp}, {deedRelease}}},
		{name: deedRelease, prepare: []string{deedClaim, deedUp}, after: [][]string{{deedRelease}}},
	}
}

// tryStacks kills a process at every event of a claim, a start and a release on the
// real Engine, and does the command again.
func tryStacks(ctx context.Context, l *lab) (finding, error) {
	if err := needEngine(ctx); err != nil {
		return finding{}, err
	}
	s := &stacks{lab: l, stuck: map[string]bool{}}
	var figures []string
	for _, a := range stackActs() {
		events, err := s.undisturbed(ctx, a)
		if err != nil {
			return s.finding, fmt.Errorf("%s: %w", a.name, err)
		}
		tried, err := s.killAll(ctx, a, events)
		if err != nil {
			return s.finding, fmt.Errorf("%s: %w", a.name, err)
		}
		figures = append(figures, fmt.Sprintf("%s killed at %d of its %d events", a.name, tried, events))
	}
	figures = append(figures, fmt.Sprintf("%d killed in all", s.killed))
	s.figures = strings.Join(figures, "; ") + s.ofStuck()
	return s.finding, nil
}

// ofStuck adds to the figures what can't be removed, if there is anything.
func (s *stacks) ofStuck() string {
	if len(s.stuck) == 0 {
		return ""
	}
	return fmt.Sprintf("; %d empty networks that the Engine can't remove, by a fault of its own", len(s.stuck))
}

// needEngine is an error where there is no Docker Engine: one that says so, or one that
// ends all where the Engine is demanded.
func needEngine(ctx context.Context) error {
	err := dockertest.Missing(ctx)
	switch {
	case err == nil:
		_, _, err = dockertest.Install(ctx)
		return err
	case os.Getenv(dockertest.Demand) == "1":
		return fmt.Errorf("%s is set, and there is no Docker Engine to try it with: %w", dockertest.Demand, err)
	}
	return notRunError(fmt.Sprintf("needs a Docker Engine with Compose v2: %v", err))
}

// stacks is the row under way.
type stacks struct {
	lab *lab

	mu sync.Mutex // guards what follows
	finding
	killed int
	stuck  map[string]bool // networks
}

// undisturbed tells how many events an act has. Of a start it is not the same number
// each time, since it depends on how often the Engine is asked.
func (s *stacks) undisturbed(ctx context.Context, a stackAct) (events int, err error) {
	y, err := s.newYard(ctx)
	if err != nil {
		return 0, err
	}
	defer y.clear()
	if err := y.doAll(ctx, a.prepare); err != nil {
		return 0, err
	}
	events, killed, err := y.do(ctx, a.name, 0)
	if err == nil && (killed || events == 0) {
		err = fmt.Errorf("it was killed: %v, after %d events", killed, events)
	}
	return events, err
}

// killAll kills an act at its events: at all of them, or in the short form at some.
func (s *stacks) killAll(ctx context.Context, a stackAct, events int) (tried int, err error) {
	step := pick(s.lab, 1, max(1, events/5))
	next := make(chan int)
	go func() {
		defer close(next)
		for at := 1; at <= events && ctx.Err() == nil; at += step {
			next <- at
			tried++
		}
	}()
	var group sync.WaitGroup
	var failed error
	for range stacksAtOnce {
		group.Go(func() {
			for at := range next {
				if err := s.killOnce(ctx, a, at); err != nil {
					s.mu.Lock()
					failed = fmt.Errorf("killed at event %d: %w", at, err)
					s.mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return tried, failed
}

// killOnce kills an act at an event, does what comes after it, and looks whether all is
// as if nothing had happened; then it releases the slot, and wants nothing left.
func (s *stacks) killOnce(ctx context.Context, a stackAct, at int) error {
	y, err := s.newYard(ctx)
	if err != nil {
		return err
	}
	defer y.clear()
	if err := y.doAll(ctx, a.prepare); err != nil {
		return err
	}
	_, killed, err := y.do(ctx, a.name, at)
	if err != nil {
		return err
	}
	after := a.after[at%len(a.after)]
	err = y.doAll(ctx, after)
	problem := ""
	if err == nil {
		y.awaitCompose(ctx)
		problem, err = y.look(ctx, after[len(after)-1])
	}
	if err == nil && problem == "" && !slices.Contains(after, deedRelease) {
		if err = y.doAll(ctx, []string{deedRelease}); err == nil {
			problem, err = y.look(ctx, deedRelease)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if killed {
		s.killed++
	}
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && ctx.Err() == nil {
		s.wrong("%s killed at event %d, then %s: %s", a.name, at, strings.Join(after, ", "), problem)
	}
	return ctx.Err()
}

// yard is a pool of one slot whose stack is on the real Engine.
type yard struct {
	pool
	stacks  *stacks
	dir     string
	project string // of slot %d
}

func (s *stacks) newYard(ctx context.Context) (yard, error) {
	s.mu.Lock()
	dir, err := s.lab.newDir("stack")
	s.mu.Unlock()
	if err != nil {
		return yard{}, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return yard{}, err
	}
	specs := small(1)
	specs[0].Env["WEB_PORT"] = fmt.Sprint(port)
	specs[0].Compose = []byte(stackTemplate)
	p, err := newPool(ctx, world.Real("the judge"), dir, specs, 1)
	if err == nil {
		err = p.w.Disk.Host().MkdirAll(p.tree(0)+"/"+mounted, 0o755)
	}
	return yard{pool: p, stacks: s, dir: dir, project: newProject()}, err
}

// newProject is a name of projects that nobody else has, with %d for the slot's number.
func newProject() string { return fmt.Sprintf("kinfra-torture-%08x-%%d", rand.Uint32()) }

// freePort is a port on which nothing listens now.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// doAll does some deeds that nobody kills.
func (y yard) doAll(ctx context.Context, deeds []string) error {
	for _, name := range deeds {
		if _, killed, err := y.do(ctx, name, 0); err != nil || killed {
			return fmt.Errorf("%s: killed %v: %w", name, killed, err)
		}
	}
	return nil
}

// clear removes what is left on the Engine.
func (y yard) clear() {
	ctx := context.Background()
	found := y.onEngine(ctx)
	for _, kind := range []string{"container", "network", "volume"} { // none can go while one before it uses it
		if names := found[kind]; len(names) > 0 {
			_, _ = runDocker(ctx, append([]string{kind, "rm", "--force"}, names...)...)
		}
	}
}

// look says what isn't as it should be after a deed, or "".
func (y yard) look(ctx context.Context, after string) (problem string, err error) {
	survey, err := y.manager(y.w, y.project).Survey(ctx)
	if err != nil || survey.Engine != nil {
		return "", fmt.Errorf("%w, %w", err, survey.Engine)
	}
	wantClaim, wantUp := after != deedRelease, 0
	if after == deedUp {
		wantUp = stackContainers
	}
	s := survey.Slots[0]
	strays, err := y.strays()
	if err != nil {
		return "", err
	}
	_, envErr := y.w.Disk.Host().Lstat(y.tree(0) + "/" + slot.EnvName)
	hasClaim, hasEnv := s.Slot.Claim != nil, envErr == nil
	switch found := y.onEngine(ctx); {
	case hasClaim != wantClaim || hasEnv != wantClaim:
		return fmt.Sprintf("the slot is claimed: %v; the worktree has its variables: %v; want %v", hasClaim, hasEnv, wantClaim), nil
	case s.State.Up != wantUp || len(s.State.Containers) != wantUp || wantUp > 0 && s.State.Status != docker.Running:
		return fmt.Sprintf("it is %s, with %d of %d containers up, want %d", s.State.Status, s.State.Up, len(s.State.Containers), wantUp), nil
	case (s.Slot.Status == "running") != (wantUp > 0):
		return fmt.Sprintf("it is recorded as %s", s.Slot.Status), nil
	case wantUp == 0 && len(found) > 0:
		return fmt.Sprintf("left on the Engine: %v", found), nil
	case len(strays) > 0:
		return fmt.Sprintf("strays: %v", strays), nil
	case len(survey.Strays) > 0:
		return fmt.Sprintf("containers of no slot: %v", survey.Strays), nil
	}
	return "", nil
}

// onEngine is all on the Engine that bears the project's name: containers, networks and
// volumes, by their kind.
func (y yard) onEngine(ctx context.Context) map[string][]string {
	found := map[string][]string{}
	for kind, list := range map[string][]string{
		"container": {"container", "ls", "--all", "--format", "{{.Names}}"},
		"network":   {"network", "ls", "--format", "{{.Name}}"},
		"volume":    {"volume", "ls", "--format", "{{.Name}}"},
	} {
		out, err := runDocker(ctx, list...)
		if err != nil {
			found[kind] = []string{err.Error()}
			continue
		}
		for name := range strings.FieldsSeq(out) {
			if strings.HasPrefix(name, fmt.Sprintf(y.project, 1)) && !(kind == "network" && y.isStuck(ctx, name)) {
				found[kind] = append(found[kind], name)
			}
		}
	}
	return found
}

// isStuck tells whether the Engine can't remove a network though it is empty
// (github.com/moby/moby/issues/42119).
func (y yard) isStuck(ctx context.Context, network string) bool {
	containers, err := runDocker(ctx, "network", "inspect", "--format", "{{len .Containers}}", network)
	if err != nil || strings.TrimSpace(containers) != "0" {
		return false
	}
	if _, err := runDocker(ctx, "network", "rm", network); err == nil || !strings.Contains(err.Error(), "active endpoints") {
		return false
	}
	y.stacks.mu.Lock()
	defer y.stacks.mu.Unlock()
	y.stacks.stuck[network] = true
	return true
}
