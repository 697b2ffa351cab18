package stack_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const (
	runs = "a running Up 1 hour (healthy)"
	then = "2026-01-02T03:04:05Z"
	data = project + "_data"
)

// did are the commands of docker so far, without those that only read.
func (m *machine) did() (all []string) {
	for _, line := range m.ran {
		line = strings.TrimPrefix(line, "--ansi never ")
		if !strings.HasPrefix(line, "config ") && !strings.HasPrefix(line, "logs ") {
			all = append(all, line)
		}
	}
	return all
}

func (m *machine) wantDid(t *testing.T, want ...string) {
	t.Helper()
	if got := m.did(); !slices.Equal(got, want) {
		t.Errorf("docker was given\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	m.ran = nil
}

// builds is a stack of one service that is built, with a volume.
const builds = `{"services":{"a":{"build":{"context":"."}},"b":{"image":"b:1"},"c":{"image":"` + project + `-a"}},"volumes":{"data":{"name":"` + data + `"},"x":{"name":"x","external":true}}}`

// TestOrder: images are pulled and built before anything is removed, and what may be made
// is on record before Compose makes it.
func TestOrder(t *testing.T) {
	m := newMachine()
	m.config = "WARNING: this docker is a wrapper\n" + builds
	m.lacks = map[string]bool{"b:1": true}
	m.volumes = []docker.Volume{{Name: data, Project: project, CreatedAt: then}, {Name: "x", Project: "x"}}
	m.list = func(int) []string {
		if slices.Contains(m.ran, "--ansi never down --remove-orphans --timeout 10") && !slices.ContainsFunc(m.ran, func(s string) bool { return strings.Contains(s, " up ") }) {
			return nil
		}
		return []string{runs}
	}
	handle := m.Handle
	m.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
		if slices.Contains(cmd.Args, "volume") {
			m.mu.Lock()
			m.volumes = slices.DeleteFunc(m.volumes, func(v docker.Volume) bool { return v.Name == data })
			m.mu.Unlock()
		}
		return handle(ctx, cmd)
	}
	s := m.stack()
	s.Build = true
	var records []string
	note := func(_ context.Context, made stack.Volumes) error {
		for _, name := range slices.Sorted(maps.Keys(made)) {
			kind, _, _ := strings.Cut(made[name], " ")
			records = append(records, name+" "+kind)
		}
		return nil
	}
	o := stack.Options{Clean: true, Made: stack.Volumes{data: then}, Begin: note, Record: note}
	var phases []string
	o.Phase = func(words string) { phases = append(phases, words) }
	worldtest.Must(t, stack.Up(t.Context(), m.World(), s, o))
	m.wantDid(t, "pull --quiet -- b", "build -- a", "down --remove-orphans --timeout 10", "volume rm -- "+data, "up --detach --remove-orphans --no-build")
	if want := []string{data + " until"}; !slices.Equal(records, want) {
		t.Errorf("on record is %q, want %q", records, want)
	}
	want := []string{"checking ports and containers", "reading the files", "pulling the images of b", "building a", "removing what the last holder has left", "starting the containers"}
	if !slices.Equal(phases, want) {
		t.Errorf("the phases were %q, want %q", phases, want)
	}
}

// TestImages: what is built is not pulled, and without a project directory only what is
// missing is built.
func TestImages(t *testing.T) {
	for _, tt := range []struct {
		name, services string
		build          bool
		lacks          []string
		want           []string
	}{
		{"there", `{"a":{"image":"a"},"b":{"build":{},"image":"b"}}`, false, nil, nil},
		{"missing", `{"a":{"image":"a"},"a2":{"image":"a"},"b":{"build":{},"image":"b"},"c":{"build":{}}}`, false, []string{"a", "b", project + "-c"}, []string{"pull --quiet -- a a2", "build -- b c"}},
		{"by policy", `{"a":{"image":"a","pull_policy":"always"},"b":{"build":{},"pull_policy":"build"}}`, false, nil, []string{"pull --quiet -- a", "build -- b"}},
		{"another builds it", `{"a":{"image":"x"},"b":{"build":{},"image":"x"}}`, true, []string{"x"}, []string{"build -- b"}},
		{"no image", `{"a":{"provider":{"type":"x"}}}`, true, nil, nil},
	} {
		m := newMachine()
		m.config = `{"services":` + tt.services + `}`
		m.lacks = map[string]bool{}
		for _, image := range tt.lacks {
			m.lacks[image] = true
		}
		m.list = func(int) []string { return []string{runs} }
		s := m.stack()
		s.Build = tt.build
		worldtest.Must(t, stack.Up(t.Context(), m.World(), s, stack.Options{}))
		t.Run(tt.name, func(t *testing.T) { m.wantDid(t, append(tt.want, "up --detach --remove-orphans --no-build")...) })
	}
}

// TestFailureBeforeTheStart: mistakes in the files, images that can't be had and builds
// that fail leave all as it was, the volumes of the last holder included.
func TestFailureBeforeTheStart(t *testing.T) {
	for command, want := range map[string]error{"config": nil, "pull": stack.ErrImageMissing, "build": nil} {
		m := newMachine()
		m.config = builds
		m.lacks = map[string]bool{"b:1": true}
		m.volumes = []docker.Volume{{Name: data, Project: project, CreatedAt: then}}
		m.list = func(int) []string { return []string{runs} }
		handle := m.Handle
		m.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
			out, err := handle(ctx, cmd)
			if slices.Contains(cmd.Args, command) {
				return world.Output{Code: 1, Stderr: []byte("out of luck\n")}, err
			}
			return out, err
		}
		s := m.stack()
		s.Build = true
		err := stack.Up(t.Context(), m.World(), s, stack.Options{Clean: true, Made: stack.Volumes{data: then}, Begin: func(context.Context, stack.Volumes) error {
			t.Errorf("%s fails, and the start begins", command)
			return nil
		}})
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), "what ran of project slot-1 still runs") {
			t.Errorf("%s: got %v", command, err)
		}
		if did := m.did(); slices.ContainsFunc(did, func(line string) bool { return !strings.HasPrefix(line, "pull ") && !strings.HasPrefix(line, "build ") }) {
			t.Errorf("%s: docker was given %q", command, did)
		}
	}
}

// TestFailureLeavesWhatRan: where the stack had containers before, a failure or an
// interruption removes nothing, and says how they are.
func TestFailureLeavesWhatRan(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		m := newMachine()
		ctx, cancel := context.WithCancel(t.Context())
		m.list = func(int) []string { return []string{runs, "b exited Exited (1) 1 hour ago"} }
		m.compose = func(ctx context.Context, command string) (string, error) {
			if interrupted {
				cancel()
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "out of luck", nil
		}
		var told []string
		undone := func(context.Context) error { t.Error("it was taken down"); return nil }
		err := stack.Up(ctx, m.World(), m.stack(), stack.Options{Undone: undone, Tell: func(text string) { told = append(told, text) }})
		cancel()
		const now = "had containers before, so nothing was removed; now: a running (1/1), b stopped (0/1)"
		if err == nil || !strings.Contains(err.Error(), now) || errors.Is(err, context.Canceled) != interrupted {
			t.Errorf("interrupted is %v: got %v", interrupted, err)
		}
		if interrupted != (len(told) == 1 && strings.Contains(told[0], now)) {
			t.Errorf("interrupted is %v: told %q", interrupted, told)
		}
		m.wantDid(t, "up --detach --remove-orphans --no-build")
	}
}

// TestFailureNamesWhatIsGone: where Compose has replaced or removed containers before it
// failed, the error names them.
func TestFailureNamesWhatIsGone(t *testing.T) {
	m := newMachine()
	replaced := false
	m.list = func(int) []string {
		if !replaced {
			return []string{"a1 running Up 1 hour", "b1 running Up 1 hour", "c exited Exited (0) 1 hour ago"}
		}
		return []string{"a2 exited Exited (1) 1 second ago", "b1 running Up 1 hour"}
	}
	m.compose = func(context.Context, string) (string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		replaced = true
		return "out of luck", nil
	}
	err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "already replaced or removed: a1, c") {
		t.Errorf("got %v", err)
	}
}

// TestKeep leaves what a failed or interrupted start from nothing has started, with its
// volumes on record.
func TestKeep(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		m := newMachine()
		m.config = `{"volumes":{"new":{"name":"slot-1_new"}}}`
		ctx, cancel := context.WithCancel(t.Context())
		up := false
		m.list = func(int) []string {
			if !up {
				return nil
			}
			return []string{"a running Up 1 second (unhealthy)", "b running Up 1 second"}
		}
		m.compose = func(ctx context.Context, command string) (string, error) {
			m.mu.Lock()
			up = true
			m.volumes = []docker.Volume{{Name: "slot-1_new", Project: project, CreatedAt: then}}
			m.mu.Unlock()
			if interrupted {
				cancel()
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "out of luck", nil
		}
		var made stack.Volumes
		note := func(_ context.Context, now stack.Volumes) error { made = now; return nil }
		err := stack.Up(ctx, m.World(), m.stack(), stack.Options{Keep: true, Begin: note, Record: note, Undone: func(context.Context) error {
			t.Error("it was taken down")
			return nil
		}})
		cancel()
		const left = "project slot-1 is left for a look; now: a unhealthy (0/1), b running (1/1)"
		if !errors.Is(err, stack.ErrKept) || errors.Is(err, context.Canceled) != interrupted || !strings.Contains(fmt.Sprint(err), left) {
			t.Errorf("interrupted is %v: got %v", interrupted, err)
		}
		m.wantDid(t, "up --detach --remove-orphans --no-build")
		if len(made) == 0 || !interrupted && made["slot-1_new"] == "" {
			t.Errorf("on record is %v", made)
		}
	}
}

// TestFailureFromNothing removes what it has made, and no volume that was there before.
func TestFailureFromNothing(t *testing.T) {
	m := newMachine()
	m.config = `{"volumes":{"data":{"name":"` + data + `"},"new":{"name":"slot-1_new"}}}`
	m.volumes = []docker.Volume{{Name: data, Project: project, CreatedAt: then}}
	m.compose = func(_ context.Context, command string) (string, error) {
		if command == "up" {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.volumes = append(m.volumes, docker.Volume{Name: "slot-1_new", Project: project, CreatedAt: then})
			return "out of luck", nil
		}
		return "", nil
	}
	handle := m.Handle
	m.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
		if slices.Contains(cmd.Args, "volume") {
			m.mu.Lock()
			m.volumes = m.volumes[:1]
			m.mu.Unlock()
		}
		return handle(ctx, cmd)
	}
	var made stack.Volumes
	keep := func(_ context.Context, now stack.Volumes) error { made = now; return nil }
	if err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Made: stack.Volumes{data: then}, Begin: keep, Record: keep}); err == nil {
		t.Error("it has not failed")
	}
	m.wantDid(t, "up --detach --remove-orphans --no-build", "down --remove-orphans --timeout 10", "volume rm -- slot-1_new")
	if !maps.Equal(made, stack.Volumes{data: then}) {
		t.Errorf("on record is %v", made)
	}
}

// TestForeignVolumes: a clean start is refused for volumes that nothing says the stack
// has made: also for one that Compose hasn't made, if Compose would use it. One that the
// record says may be made until a time is the stack's if it was.
func TestForeignVolumes(t *testing.T) {
	const config = `{"volumes":{"data":{"name":"` + data + `"},"shared":{"name":"shared"},"x":{"name":"` + project + `_x","external":true}}}`
	for _, tt := range []struct {
		name    string
		volumes []docker.Volume
		made    stack.Volumes
		mounts  []string
		want    []string
	}{
		{"none", nil, nil, nil, nil},
		{"others'", []docker.Volume{{Name: "shared", Project: "other"}, {Name: "slot-11_data", Project: "slot-11"}, {Name: project + "_x"}}, nil, nil, nil},
		{"the project's", []docker.Volume{{Name: data, Project: project, CreatedAt: then}, {Name: "shared", Project: project}}, nil, nil, []string{"shared", data}},
		{"not by Compose", []docker.Volume{{Name: data, CreatedAt: then}}, nil, nil, []string{data}},
		{"on record", []docker.Volume{{Name: data, Project: project, CreatedAt: then}}, stack.Volumes{data: then}, nil, nil},
		{"of another time", []docker.Volume{{Name: data, Project: project, CreatedAt: "2026-01-02T03:04:06Z"}}, stack.Volumes{data: then}, nil, []string{data}},
		{"of no time", []docker.Volume{{Name: data, Project: project}}, stack.Volumes{data: ""}, nil, []string{data}},
		{"made in time", []docker.Volume{{Name: data, Project: project, CreatedAt: then}}, stack.Volumes{data: "until " + then}, nil, nil},
		{"made too late", []docker.Volume{{Name: data, Project: project, CreatedAt: "2026-01-02T03:04:06Z"}}, stack.Volumes{data: "until " + then}, nil, []string{data}},
		{"in time, not by Compose", []docker.Volume{{Name: data, CreatedAt: then}}, stack.Volumes{data: "until " + then}, nil, []string{data}},
		{"in use", []docker.Volume{{Name: data, Project: project, CreatedAt: then}, {Name: "shared", Project: "other"}}, nil, []string{data, "shared"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			m.config, m.volumes, m.mounts = config, tt.volumes, tt.mounts
			down := len(tt.mounts) == 0
			m.list = func(int) []string {
				if down && !slices.ContainsFunc(m.ran, func(s string) bool { return strings.Contains(s, " up ") }) {
					return nil
				}
				return []string{runs}
			}
			m.compose = func(_ context.Context, command string) (string, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				down = down || command == "down"
				return "", nil
			}
			handle := m.Handle
			m.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
				if i := slices.Index(cmd.Args, "rm"); i > 0 && cmd.Args[i-1] == "volume" {
					m.mu.Lock()
					m.volumes = slices.DeleteFunc(slices.Clone(m.volumes), func(v docker.Volume) bool { return slices.Contains(cmd.Args[i+2:], v.Name) })
					m.mu.Unlock()
				}
				return handle(ctx, cmd)
			}
			err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Clean: true, Made: tt.made})
			foreign, ok := errors.AsType[*stack.ForeignVolumesError](err)
			if ok != (tt.want != nil) || !ok && err != nil {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if !ok {
				if slices.ContainsFunc(m.did(), func(line string) bool {
					return strings.HasPrefix(line, "volume rm") && strings.Contains(line, "shared")
				}) {
					t.Errorf("another's volume was removed: %q", m.did())
				}
				return
			}
			var names []string
			for _, v := range foreign.Volumes {
				names = append(names, v.Name)
			}
			if !slices.Equal(names, tt.want) {
				t.Errorf("in the way are %q, want %q", names, tt.want)
			}
			m.wantDid(t)
		})
	}
}

// TestDownSettles: where the Engine has another time for a volume than the record, the
// record has it before the containers go that say whose it is.
func TestDownSettles(t *testing.T) {
	m := newMachine()
	const later = "2026-01-02T03:05:00Z"
	m.mounts = []string{data}
	m.volumes = []docker.Volume{{Name: data, Project: project, CreatedAt: "2026-01-02T03:04:30Z"}, {Name: "slot-1_theirs", Project: project, CreatedAt: then}}
	up := true
	m.list = func(int) []string {
		if !up {
			return nil
		}
		return []string{runs}
	}
	m.compose = func(_ context.Context, command string) (string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		switch command {
		case "stop":
			m.volumes[0].CreatedAt = later
		case "down":
			up = false
		}
		return "", nil
	}
	var made stack.Volumes
	worldtest.Must(t, stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true, Made: stack.Volumes{data: then}, Record: func(_ context.Context, now stack.Volumes) error {
		made = now
		if !up {
			t.Error("it is recorded when the containers are gone")
		}
		return nil
	}}))
	m.wantDid(t, "stop --timeout 10", "down --remove-orphans --timeout 10", "volume rm -- "+data)
	if !maps.Equal(made, stack.Volumes{data: later}) {
		t.Errorf("on record is %v", made)
	}

	// what the record has right needs no stop
	up = true
	worldtest.Must(t, stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true, Made: stack.Volumes{data: later}}))
	m.wantDid(t, "down --remove-orphans --timeout 10", "volume rm -- "+data)
}

// TestNetworkOfOthers: a network that a container of another is on stays, though that one
// doesn't run.
func TestNetworkOfOthers(t *testing.T) {
	m := newMachine()
	m.network = "slot-1_default"
	m.Answer = answerWith(m, func() string {
		own := `{"Id":"a","Names":["/a"],"State":"running","Status":"Up","Labels":{"com.docker.compose.project":"slot-1","com.docker.compose.project.working_dir":"/pool/sandboxes/slot-1"},"NetworkSettings":{"Networks":{"slot-1_default":{}}}},`
		if slices.ContainsFunc(m.ran, func(line string) bool { return strings.HasPrefix(line, "rm ") }) {
			own = ""
		}
		return `[` + own + `{"Id":"t","Names":["/t"],"State":"exited","Status":"Exited (0)","NetworkSettings":{"Networks":{"slot-1_default":{}}}}]`
	})
	worldtest.Must(t, stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true}))
	m.wantDid(t, "stop --timeout 10", "rm --force --volumes -- a")
}
