package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/lifecycle"
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
	up := []string{deedClaim, deedUp}
	return []stackAct{
		{name: deedClaim, after: [][]string{{deedClaim}}},
		{name: deedUp, prepare: []string{deedClaim}, after: [][]string{{deedUp}, {deedRelease}, {deedDown}}},
		{name: deedClaimUp, after: [][]string{{deedClaimUp}}},
		{name: deedRestart, prepare: up, after: [][]string{{deedRestart}, {deedUp}, {deedRelease}}},
		{name: deedDown, prepare: up, after: [][]string{{deedDown}, {deedUp}, {deedRelease}}},
		{name: deedRelease, prepare: up, after: [][]string{{deedRelease}}},
		{name: deedReap, prepare: []string{deedLease, deedLater}, after: [][]string{{deedReap}}},
	}
}

// The least that has to be killed of each act, as shares of the events that are tried.
const (
	leastKilled = 0.8
	leastInside = 0.4
	leastAgain  = 0.2
)

// tryStacks kills the program at every event of what it does with a stack on the real
// Engine, and has it go on.
func tryStacks(ctx context.Context, l *lab) (finding, error) {
	if err := needEngine(ctx); err != nil {
		return finding{}, err
	}
	program, err := l.buildInstrumented(ctx)
	if err != nil {
		return finding{}, err
	}
	s := &stacks{lab: l, program: program, stuck: map[string]bool{}}
	var figures []string
	for _, a := range stackActs() {
		if only := os.Getenv(actVariable); only != "" && only != a.name {
			continue
		}
		before := s.tally
		events, err := s.undisturbed(ctx, a)
		if err != nil {
			return s.finding, fmt.Errorf("%s: %w", a.name, err)
		}
		tried, err := s.killAll(ctx, a, events)
		if err != nil {
			return s.finding, fmt.Errorf("%s: %w", a.name, err)
		}
		n := float64(tried)
		got := tally{s.kills - before.kills, s.inside - before.inside, s.again - before.again}
		s.wants(a.name, got, tally{int(n * leastKilled), int(n * leastInside), int(n * leastAgain)})
		figures = append(figures, fmt.Sprintf("%s at %d of its %d events", a.name, tried, events))
	}
	if s.resumes == 0 && os.Getenv(actVariable) == "" {
		s.wrong("no resume was killed")
	}
	s.figures = fmt.Sprintf("%s; %s, %d of these in resumes", strings.Join(figures, "; "), s.tally, s.resumes) + s.ofStuck()
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
	lab     *lab
	program string
	env     []string // that it is given besides

	mu sync.Mutex // guards what follows
	finding
	tally
	resumes int             // kills in resumes
	stuck   map[string]bool // networks
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
	p, err := y.do(ctx, a.name, 0)
	if err == nil && len(p.events) < 2 {
		err = fmt.Errorf("it has the events %q", p.events)
	}
	return len(p.events), err
}

// killAll kills an act at its events: at all of them, or in the short form at some.
func (s *stacks) killAll(ctx context.Context, a stackAct, events int) (tried int, err error) {
	step := pick(s.lab, 1, max(1, events/2))
	next := make(chan int)
	go func() {
		defer close(next)
		for at := (step + 1) / 2; at <= events && ctx.Err() == nil; at += step {
			next <- max(at, 1)
			tried++
		}
	}()
	var group sync.WaitGroup
	var failed error
	for range stacksAtOnce {
		group.Go(func() {
			for at := range next {
				if err := s.killOnce(ctx, a, at, at/step, events); err != nil {
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

// killOnce kills an act at an event, and every other time kills what goes on after that, too.
// Then it does what comes after it, by whose turn it is, and looks whether all is as if nothing had happened; then
// it releases the slot, and wants nothing left.
func (s *stacks) killOnce(ctx context.Context, a stackAct, at, turn, events int) error {
	y, err := s.newYard(ctx)
	if err != nil {
		return err
	}
	defer y.clear()
	if err := y.doAll(ctx, a.prepare); err != nil {
		return err
	}
	y.hadVolume = len(a.prepare) > 1
	first, err := y.do(ctx, a.name, at)
	if err != nil {
		return err
	}
	s.count(first, false, false)
	after := a.after[turn%len(a.after)]
	if turn/len(a.after)%2 == 0 || s.lab.short {
		second, resumed, err := y.again(ctx, after[0], 1+rand.IntN(1+events/3))
		if err != nil && !y.isGivenBack(ctx, after[0]) {
			return s.told(ctx, a, at, after, "", err)
		}
		s.count(second, true, resumed)
	}
	problem, err := y.bringsToEnd(ctx, after)
	return s.told(ctx, a, at, after, problem, err)
}

// count counts a process, if it was killed.
func (s *stacks) count(p process, again, resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.killed {
		return
	}
	s.kills++
	if p.inside {
		s.inside++
	}
	if again {
		s.again++
	}
	if again && resumed {
		s.resumes++
	}
}

// told notes what was wrong.
func (s *stacks) told(ctx context.Context, a stackAct, at int, after []string, problem string, err error) error {
	if err != nil {
		problem = err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if problem != "" && ctx.Err() == nil {
		s.wrong("%s killed at event %d, then %s: %s", a.name, at, strings.Join(after, ", "), problem)
	}
	return ctx.Err()
}

// bringsToEnd does what comes after a kill, and says what isn't as it should be then, or
// once the slot is released.
func (y yard) bringsToEnd(ctx context.Context, after []string) (problem string, err error) {
	for _, deed := range after {
		if _, _, err = y.again(ctx, deed, 0); err != nil && !y.isGivenBack(ctx, deed) {
			return "", err
		}
	}
	y.awaitCompose(ctx)
	last := after[len(after)-1]
	if endsClaim(last) {
		return y.lookReleased(ctx, last)
	}
	if problem, err = y.look(ctx, last); err == nil && problem == "" {
		if err = y.doAll(ctx, []string{deedRelease}); err == nil {
			problem, err = y.look(ctx, deedRelease)
		}
	}
	return problem, err
}

// lookReleased looks after a deed that ends a claim. What a killed one has left once the
// claim was over, the next change clears away.
func (y yard) lookReleased(ctx context.Context, deed string) (problem string, err error) {
	if err := y.Reconcile(ctx); err != nil {
		return "", err
	}
	return y.look(ctx, deed)
}

// endsClaim tells whether no claim is left after a deed.
func endsClaim(deed string) bool { return deed == deedRelease || deed == deedReap }

// isGivenBack tells whether a deed that ends a claim is refused since that has been done.
func (y yard) isGivenBack(ctx context.Context, deed string) bool {
	_, held, err := y.Find(ctx, y.tree(0))
	return endsClaim(deed) && err == nil && !held
}

// yard is a pool of one slot whose stack is on the real Engine.
type yard struct {
	pool
	stacks  *stacks
	dir     string
	project string // of slot %d

	hadVolume bool // the slot, before something was killed
}

func (s *stacks) newYard(ctx context.Context) (yard, error) {
	dir, err := s.lab.newDir("stack")
	if err != nil {
		return yard{}, err
	}
	y := yard{pool: openPool(world.Real("the judge"), dir), stacks: s, dir: dir, project: newProject()}
	if err := os.MkdirAll(y.tree(0), 0o755); err != nil {
		return yard{}, err
	}
	if err := y.writePool(ctx, dir, y.tree(0)); err != nil {
		return yard{}, err
	}
	_, err = y.do(ctx, "provision", 0)
	return y, err
}

// manager tells of what is there.
func (y yard) manager() *lifecycle.Manager {
	return lifecycle.New(y.w, lifecycle.Definition{Root: y.root, Project: y.project}, y.Pool)
}

// newProject is a name of projects that nobody else has, with %d for the slot's number.
func newProject() string { return fmt.Sprintf("kinfra-torture-%08x-%%d", rand.Uint32()) }

// freePort is a port on which nothing listens now. It is below those that the system gives to
// whoever asks for any, so that nobody gets it by chance before the stack does.
func freePort(ctx context.Context) (int, error) {
	const first, count, tries = 21000, 11000, 100
	var err error
	for range tries {
		port := first + rand.IntN(count)
		l, listenErr := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if listenErr == nil {
			return port, l.Close()
		}
		err = listenErr
	}
	return 0, err
}

// doAll does some deeds that nobody kills.
func (y yard) doAll(ctx context.Context, deeds []string) error {
	for _, name := range deeds {
		if _, err := y.do(ctx, name, 0); err != nil {
			return err
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
	survey, err := y.manager().Survey(ctx)
	if err != nil || survey.Engine != nil {
		return "", fmt.Errorf("%w, %w", err, survey.Engine)
	}
	wantClaim, wantUp := !endsClaim(after), 0
	switch after {
	case deedUp, deedClaimUp, deedRestart:
		wantUp = stackContainers
	}
	s := survey.Slots[0]
	strays, err := y.strays()
	if err != nil {
		return "", err
	}
	_, envErr := y.w.Disk.Host().Lstat(y.tree(0) + "/" + slot.EnvName)
	hasClaim, hasEnv := s.Slot.Claim != nil, envErr == nil
	found := y.onEngine(ctx)
	volumes := len(found["volume"])
	if after == deedDown && volumes == 1 {
		delete(found, "volume") // it stays
	}
	switch {
	case after == deedDown && volumes == 0 && y.hadVolume:
		return "the volume is gone", nil
	case hasClaim != wantClaim || hasEnv != wantClaim:
		return fmt.Sprintf("the slot is claimed: %v; the worktree has its variables: %v; want %v", hasClaim, hasEnv, wantClaim), nil
	case s.State.Up != wantUp || len(s.State.Containers) != wantUp || wantUp > 0 && s.State.Status != docker.Running:
		return fmt.Sprintf("it is %s, with %d of %d containers up, want %d", s.State.Status, s.State.Up, len(s.State.Containers), wantUp), nil
	case (s.Slot.Status == "running") != (wantUp > 0):
		return fmt.Sprintf("it is recorded as %s", s.Slot.Status), nil
	case wantUp == 0 && len(found) > 0:
		return fmt.Sprintf("left on the Engine: %v", found), nil
	case wantUp > 0 && (len(found["container"]) != wantUp || len(found["volume"]) != 1):
		return fmt.Sprintf("on the Engine are %v", found), nil
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
