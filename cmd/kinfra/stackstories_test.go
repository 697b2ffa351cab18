package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ktrdr/kinfra/internal/dockertest"
)

// stackStories are the files of the stories that need a real Docker Engine.
const stackStories = "stack_"

// TestStackStories runs testscripts/stack_*.txtar on the real Docker Engine. Each story
// has the shipped pool under project names and ports of its own, and nothing of it is
// left on the Engine when it ends.
func TestStackStories(t *testing.T) {
	dockertest.Need(t)
	dockertest.Alone(t, "stories")
	files := stories(t, true)
	p := storyParams(files)
	p.Cmds["answers"] = answersCommand
	p.Cmds["listen"] = listenCommand
	p.Cmds["nothing-left"] = nothingLeftCommand
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		if err := setup(e); err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"+stackStories)
		number := slices.IndexFunc(files, func(path string) bool { return filepath.Base(path) == stackStories+name+".txtar" })
		return ownPool(e, "story-"+strings.ReplaceAll(name, "_", "-"), 21000+100*number)
	}
	testscript.Run(t, p)
}

// stories are the files of the stories with a real Engine, or of the others.
func stories(t *testing.T, withEngine bool) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("..", "..", "testscripts", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(path string) bool {
		return strings.HasPrefix(filepath.Base(path), stackStories) != withEngine
	})
}

// shippedElsewhere is the shipped pool with other project names and ports.
const shippedElsewhere = `"""The shipped pool under project names and ports of its own."""

load("@kinfra//pool.star", "PORTS", "PROFILES", "SLOTS", "environment", shipped = "pool")

pool = slot.pool(
    name = shipped.name,
    root = shipped.root,
    profiles = PROFILES,
    slots = SLOTS,
    ports = {name: port(base = %d + 10 * i) for i, name in enumerate(PORTS)},
    main_port = shipped.main_port,
    project = "%s-%%d",
    environment = environment,
    template = shipped.template,
    mounts = shipped.mounts,
    pass_env = shipped.pass_env,
    shared = shipped.shared,
)
`

// ownPool gives a story the real Engine, and a pool in the user's layer whose projects
// are PROJECT-1, PROJECT-2, … and whose slot N has the API's port API_N and the
// database's DB_N.
func ownPool(e *testscript.Env, project string, firstPort int) error {
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG"} {
		e.Setenv(name, os.Getenv(name))
	}
	if os.Getenv("DOCKER_CONFIG") == "" { // Compose is among the user's plugins there
		e.Setenv("DOCKER_CONFIG", filepath.Join(os.Getenv("HOME"), ".docker"))
	}
	e.Values[listenersKey{}] = map[string]net.Listener{}
	e.Setenv("PROJECT", project)
	for slot := 1; slot <= 6; slot++ {
		e.Setenv(fmt.Sprintf("API_%d", slot), strconv.Itoa(firstPort+slot))
		e.Setenv(fmt.Sprintf("DB_%d", slot), strconv.Itoa(firstPort+10+slot))
	}
	if err := removeFromEngine(project); err != nil { // what a run that was killed has left
		return err
	}
	e.Defer(func() {
		if err := removeFromEngine(project); err != nil {
			e.T().Log("removing what the story has left on the Docker Engine: ", err)
		}
	})
	return writePool(e.Getenv("USER_SCRIPTS"), project, firstPort)
}

// writePool makes shippedElsewhere the pool of a layer.
func writePool(layer, project string, firstPort int) error {
	if err := os.MkdirAll(layer, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(layer, "pool.star"), fmt.Appendf(nil, shippedElsewhere, firstPort, project), 0o600)
}

// onEngine lists the names of a kind of things (container, network or volume) on the
// Engine that begin with a prefix.
func onEngine(kind, prefix string) ([]string, error) {
	format, list := "{{.Name}}", []string{kind, "ls"}
	if kind == "container" {
		format, list = "{{.Names}}", []string{kind, "ls", "--all"}
	}
	out, err := exec.Command("docker", append(list, "--format", format)...).Output()
	if err != nil {
		return nil, fmt.Errorf("docker %s ls: %w", kind, err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool { return !strings.HasPrefix(name, prefix) }), nil
}

// kindsOnEngine are in the order in which they can be removed.
func kindsOnEngine() []string { return []string{"container", "network", "volume"} }

// removeFromEngine removes all whose name begins with a project's.
func removeFromEngine(project string) error {
	var bad []error
	for _, kind := range kindsOnEngine() {
		names, err := onEngine(kind, project+"-")
		if err == nil && len(names) > 0 {
			err = exec.Command("docker", slices.Concat([]string{kind, "rm", "--force"}, names)...).Run()
		}
		bad = append(bad, err)
	}
	return errors.Join(bad...)
}

// `nothing-left PROJECT` fails if there is a container, network or volume whose name
// begins with PROJECT.
func nothingLeftCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nothing-left PROJECT")
	}
	for _, kind := range kindsOnEngine() {
		names, err := onEngine(kind, args[0])
		ts.Check(err)
		if len(names) > 0 {
			ts.Fatalf("left on the Docker Engine, %s: %s", kind, strings.Join(names, ", "))
		}
	}
}

// `answers URL [CODE]` fails unless a GET of the URL is answered with the code, by
// default 200; with !, unless nobody answers.
func answersCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 || neg && len(args) > 1 {
		ts.Fatalf("usage: answers URL [CODE], or ! answers URL")
	}
	want := "200"
	if len(args) == 2 {
		want = args[1]
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(args[0])
	if neg {
		if err == nil {
			ts.Fatalf("%s is answered with %s, want nobody there", args[0], response.Status)
		}
		return
	}
	ts.Check(err)
	response.Body.Close()
	if got := strconv.Itoa(response.StatusCode); got != want {
		ts.Fatalf("%s is answered with %s, want %s", args[0], got, want)
	}
}

// listenersKey is where a story keeps what it listens with.
type listenersKey struct{}

// `listen PORT` has this process, which is no part of kinfra, listen there until the
// story ends or says `! listen PORT`.
func listenCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] listen PORT")
	}
	listeners := ts.Value(listenersKey{}).(map[string]net.Listener)
	if neg {
		if listeners[args[0]] == nil {
			ts.Fatalf("nothing listens at %s", args[0])
		}
		ts.Check(listeners[args[0]].Close())
		return
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	listeners[args[0]] = l
	ts.Defer(func() { l.Close() })
}
