package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/terminaltest"
	"github.com/ktrdr/kinfra/internal/world"
)

// The files "go" and "go NAME" let steps end that wait for them.
const waitingScript = `"""Build parts side by side."""

def main(args):
    step("prepare", lambda: None)
    step("build", lambda: parallel(["api", "web"], build))
    check("it works", lambda: expect.equal(41, 42))

def build(part):
    def inside():
        step("compile", lambda: wait_for("go " + part), undo = lambda _: print("removed " + part))
        print("compiled " + part)
        log.warn("slow\nvery", {"part": part})

    step(part, inside)

def wait_for(name):
    proc.run(["sh", "-c", "trap '' TERM; while [ -e build.star ] && [ ! -e \"$1\" ] && [ ! -e go ]; do sleep 0.02; done", "sh", name])

workflow(command = "build", run = main)
`

// session is a command on a pseudo-terminal, which is also its controlling one.
type session struct {
	machine
	cmd    *exec.Cmd
	master *os.File // what the user types
	tty    *os.File
	screen *terminaltest.Terminal
	before *term.State // of the tty

	mu      sync.Mutex
	printed bytes.Buffer
	more    chan struct{} // something was printed
	over    chan struct{} // nothing will be any more
}

// start starts a command, whose streams that aren't set are the terminal.
func start(t *testing.T, m machine, cmd *exec.Cmd, env ...string) *session {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{machine: m, cmd: cmd, master: master, tty: tty, more: make(chan struct{}, 1), over: make(chan struct{})}
	s.screen = terminaltest.New(80, 24, true)
	s.resize(t, 80, 24)
	s.before = s.settings(t)
	cmd.Env = slices.Concat(cmd.Env, []string{"TERM=xterm-256color", "NO_COLOR="}, env)
	cmd.Stdin, cmd.Stderr = tty, tty
	if cmd.Stdout == nil {
		cmd.Stdout = tty
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.touch(t, "go")
		cmd.Process.Kill()
		tty.Close()
		<-s.over
		master.Close()
	})
	go s.read()
	return s
}

func (s *session) read() {
	defer close(s.over)
	for buffer := make([]byte, 4096); ; {
		n, err := s.master.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.printed.Write(buffer[:n])
		s.screen.Write(buffer[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// until waits until the screen shows a text.
func (s *session) until(t *testing.T, text string) {
	t.Helper()
	s.wait(t, text, func() bool { return strings.Contains(s.screen.Screen(), text) })
}

func (s *session) wait(t *testing.T, text string, come func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for !come() {
		select {
		case <-s.more:
		case <-late:
			t.Fatalf("%q never came; the terminal shows\n%s", text, s.screen.Screen())
		}
	}
}

// end waits for the command, and gives what the terminal shows then, without times and
// the names of runs. The terminal must be as it was.
func (s *session) end(t *testing.T, code int) string {
	t.Helper()
	_ = s.cmd.Wait() // the exit code tells
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	io.WriteString(s.tty, "$\n")
	s.wait(t, "$", func() bool { return strings.HasSuffix(s.raw(), "$\r\n") })
	s.screen.Resize(200, 24) // joins what was broken
	if err := s.screen.Clean(); err != nil {
		t.Errorf("the terminal is not clean: %v; it shows\n%s", err, s.screen.Screen())
	}
	if after := s.settings(t); !reflect.DeepEqual(after, s.before) {
		t.Errorf("the terminal's settings were %v, and are %v", s.before, after)
	}
	shown := regexp.MustCompile(`(?m)^\S+ \[WARN\]`).ReplaceAllString(s.screen.Screen(), "TIME [WARN]")
	shown = regexp.MustCompile(`\([0-9.]+[a-zµ]+\)`).ReplaceAllString(shown, "(…)")
	return regexp.MustCompile(`(resume|show) [a-z0-9]{6}\b`).ReplaceAllString(shown, "$1 RUN")
}

func (s *session) resize(t *testing.T, width, height int) {
	t.Helper()
	s.screen.Resize(width, height)
	if err := pty.Setsize(s.master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		t.Fatal(err)
	}
}

func (s *session) keys(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(s.master, keys); err != nil {
		t.Fatal(err)
	}
}

func (s *session) touch(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.home, name), nil, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func (s *session) raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.printed.String()
}

func (s *session) settings(t *testing.T) *term.State {
	t.Helper()
	settings, err := term.GetState(int(s.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// waiting is a machine with the script that waits.
func waiting(t *testing.T) machine {
	t.Helper()
	m := newMachine(t)
	if err := os.WriteFile(filepath.Join(m.home, "build.star"), []byte(waitingScript), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

const failedCheck = `        error: expected 42
        got 41
          --> ./build.star:6:43
        6 |     check("it works", lambda: expect.equal(41, 42))
          |                                           ^
          called from ./build.star:6:10, in main
`

// Branches are shown side by side, in any size of the terminal, and are gone in the end;
// what they announce comes out above.
func TestLiveRun(t *testing.T) {
	m := waiting(t)
	s := start(t, m, m.kinfra(t, "run", "build.star"))
	s.until(t, "    run   web")
	s.until(t, "1 done, 5 running (")
	s.resize(t, 30, 24)
	s.until(t, "\n  build (")
	s.touch(t, "go web")
	s.until(t, "ok    build/web ")
	s.resize(t, 80, 24)
	s.until(t, "3 done, 3 running (")
	s.touch(t, "go api")
	const want = `  ok    prepare (…)
  ok    build/web/compile (…)
TIME [WARN]  kinfra: slow
very: part=web
  ok    build/web (…)
  ok    build/api/compile (…)
compiled api
TIME [WARN]  kinfra: slow
very: part=api
  ok    build/api (…)
compiled web
  ok    build (…)
  FAIL  it works (…)
` + failedCheck + `error: 1 of 1 checks failed: it works
The run is recorded: kinfra resume RUN resumes it, kinfra runs show RUN shows it
$
`
	if got := s.end(t, 1); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

const printingScript = `"""Show what a process prints."""

def main(args):
    step("download", lambda: proc.run(["sh", "-c", r"""
        echo resolving; echo connected >&2; printf '  0%%\r 50%%'
        until [ -e go ]; do sleep 0.02; done
        printf '\r100%%\n'; echo "error: no space left" >&2; exit 3""", "download", "x" * 100]))

workflow(command = "download", run = main)
`

// What a process prints is shown below its step while it runs, also a line that it is still
// writing over. If it fails the error has it, the reason first.
func TestLiveOutput(t *testing.T) {
	m := newMachine(t)
	if err := os.WriteFile(filepath.Join(m.home, "download.star"), []byte(printingScript), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, m, m.kinfra(t, "run", "download.star"))
	s.until(t, "|  50%\n")
	for _, line := range []string{"\n    | resolving\n", "\n    | connected\n"} {
		if shown := s.screen.Screen(); !strings.Contains(shown, line) {
			t.Errorf("the terminal shows\n%s", shown)
		}
	}
	s.touch(t, "go")
	shown := s.end(t, 1)
	first, rest, _ := strings.Cut(shown, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	if first != "  FAIL  download (…)" || second != "error: proc.run: sh ended with code 3: error: no space left" {
		t.Errorf("in the end the terminal shows\n%s", shown)
	}
	for _, line := range []string{"  | 100%\n", "  | error: no space left\n", "\nthe command: sh -c "} {
		if !strings.Contains(shown, line) {
			t.Errorf("in the end the terminal shows\n%s", shown)
		}
	}
}

// With stdout as a pipe, what is announced goes there as it is.
func TestLiveRunIntoPipe(t *testing.T) {
	m := waiting(t)
	cmd := m.kinfra(t, "run", "build.star")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	s := start(t, m, cmd)
	s.until(t, "1 done, 5 running (")
	s.touch(t, "go")
	shown := s.end(t, 1)
	if stdout.String() != "compiled api\ncompiled web\n" {
		t.Errorf("stdout is %q", stdout.String())
	}
	if strings.Contains(shown, "compiled") || !strings.Contains(shown, "ok    build (…)\n") {
		t.Errorf("the terminal shows\n%s", shown)
	}
}

// Ctrl-C takes away what is drawn. If what runs doesn't stop, the second one ends the
// process, and leaves the terminal as it should be all the same.
func TestLiveInterrupted(t *testing.T) {
	m := waiting(t)
	s := start(t, m, m.kinfra(t, "run", "build.star"))
	s.until(t, "1 done, 5 running (")
	s.keys(t, "\x03")
	s.until(t, "Waiting for 5 step(s) to stop; Ctrl-C once more ends the process at once\n")
	s.keys(t, "\x03")
	const want = `  ok    prepare (…)
Waiting for 5 step(s) to stop; Ctrl-C once more ends the process at once
^C$
`
	if got := s.end(t, -1); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

// After a single Ctrl-C the run is taken back, and says so in lines.
func TestLiveTakenBack(t *testing.T) {
	m := waiting(t)
	s := start(t, m, m.kinfra(t, "run", "build.star"))
	s.touch(t, "go web")
	s.until(t, "3 done, 3 running (")
	s.keys(t, "\x03")
	s.until(t, "Waiting for 3 step(s)")
	s.touch(t, "go api")
	shown := s.end(t, 130)
	for _, want := range []string{"undid build/web/compile\n", "removed web\n", "interrupted\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing:\n%s", want, shown)
		}
	}
}

// Ctrl-Z takes away what is drawn, and lets the shell have the terminal; in the
// foreground again, the process goes on drawing.
func TestLiveSuspended(t *testing.T) {
	m := waiting(t)
	cmd := m.kinfra(t)
	kinfra := cmd.Path
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `set -m; "$0" run build.star; echo "suspended"; read line; bg >/dev/null; sleep 0.3; echo "much later"; read line; fg >/dev/null`, kinfra}
	s := start(t, m, cmd)
	s.until(t, "1 done, 5 running (")
	s.keys(t, "\x1a")
	s.until(t, "suspended\n")
	if shown := s.screen.Screen(); strings.Contains(shown, "running") {
		t.Errorf("suspended, it still shows\n%s", shown)
	}
	s.keys(t, "\n") // into the background, where lines are printed and nothing is drawn
	s.touch(t, "go web")
	s.until(t, "ok    build/web ")
	s.until(t, "much later\n") // by three frames
	if shown := s.screen.Screen(); strings.Contains(shown, "running") {
		t.Errorf("in the background, it shows\n%s", shown)
	}
	s.keys(t, "\n")
	s.until(t, "3 done, 3 running (")
	s.touch(t, "go api")
	if shown := s.end(t, 1); !strings.Contains(shown, "ok    build (…)\n") || strings.Contains(shown, "running") {
		t.Errorf("the terminal shows\n%s", shown)
	}
}

// Where nothing is to be drawn, and nothing coloured, no code is printed.
func TestNothingDrawn(t *testing.T) {
	m := waiting(t)
	top := filepath.Join(m.home, "top.star")
	if err := os.WriteFile(top, []byte("print(1)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, env string
		codes     string // of those that may be printed, how each ends
	}{
		{"run build.star", "TERM=dumb", ""},
		{"run build.star", "TERM=", "m"},
		{"run build.star", "NO_COLOR=1", "JKAlh"},
		{"run build.star --color never", "", "JKAlh"},
		{"run build.star", "", "JKAlhm"},
		{"run build.star --output json --color never", "", ""},
		{"run top.star", "", ""},
		{"sandbox slots", "", ""},
	} {
		s := start(t, m, m.kinfra(t, strings.Fields(c.args)...), c.env)
		if strings.Contains(c.codes, "J") {
			s.until(t, "1 done, 5 running (")
		}
		s.touch(t, "go")
		_ = s.cmd.Wait()
		s.end(t, s.cmd.ProcessState.ExitCode())
		for _, code := range regexp.MustCompile("\x1b\\[[0-9;?]*.").FindAllString(s.raw(), -1) {
			if !strings.Contains(c.codes, code[len(code)-1:]) {
				t.Errorf("%s %s: the code %q was printed", c.env, c.args, code)
			}
		}
		if err := os.Remove(filepath.Join(m.home, "go")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCanDraw(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		term     string
		want     bool
	}{
		{true, "xterm", true}, {true, "dumb", false}, {true, "", false}, {false, "xterm", false},
	} {
		t.Setenv("TERM", c.term)
		if got := (&stream{terminal: c.terminal}).canDraw(); got != c.want {
			t.Errorf("terminal %v called %q: %v", c.terminal, c.term, got)
		}
	}
}

// An attached process has the terminal to itself.
func TestLiveLent(t *testing.T) {
	screen := terminaltest.New(80, 24, true)
	live := &present.Live{
		Plain: present.Plain{Announcements: screen, Progress: screen}, Terminal: screen,
		Size: func() (int, int) { return 80, 24 }, Watch: func() func() { return func() {} },
	}
	now := time.Unix(1e9, 0)
	live.Show(&event.Event{Type: event.RunBegan, Time: now})
	live.Show(&event.Event{Type: event.Began, Time: now, Key: "shell"})
	live.Frame(now)
	drawn := screen.Screen()
	fake := world.NewFake()
	during := ""
	fake.Handle = func(context.Context, world.Command) (world.Output, error) {
		live.Frame(now)
		during = screen.Screen()
		return world.Output{}, nil
	}
	lent := lender{fake, live}
	if _, err := lent.Attach(t.Context(), world.Command{Args: []string{"sh"}, Dir: "/"}); err != nil {
		t.Fatal(err)
	}
	live.Frame(now)
	if during != "\n" || screen.Screen() != drawn || !strings.Contains(drawn, "run   shell") {
		t.Errorf("before, the terminal shows\n%s\nduring it\n%s\nafter it\n%s", drawn, during, screen.Screen())
	}
}

const askingScript = `"""Ask while other steps run."""

def main(args):
    step("both", lambda: parallel(["wait", "ask"], part))

def part(name):
    if name == "ask":
        wait_until(lambda: fs.exists("waiting"), timeout = "1m", every = "10ms")
        step("ask", lambda: print("chose " + ask.choose("Which?", ["api", "web"])))
    else:
        step("wait", lambda: wait_for("go"))

def wait_for(name):
    proc.run(["sh", "-c", "touch waiting; while [ -e build.star ] && [ ! -e \"$1\" ]; do sleep 0.02; done", "sh", name])

workflow(command = "build", run = main)
`

// asking is a session in which a question has been asked.
func asking(t *testing.T) *session {
	t.Helper()
	m := newMachine(t)
	if err := os.WriteFile(filepath.Join(m.home, "build.star"), []byte(askingScript), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, m, m.kinfra(t, "run", "build.star"))
	s.until(t, "Number or name")
	return s
}

// A question has the terminal to itself, while other steps go on; what is typed wrongly is
// told, and asked again.
func TestLiveAsks(t *testing.T) {
	s := asking(t)
	s.keys(t, "db\n")
	s.until(t, "want one of api, web\nWhich?\n  1  api\n  2  web\nNumber or name:")
	s.keys(t, "2\n")
	s.until(t, "1 done, 2 running (")
	s.touch(t, "go")
	const want = `Which?
  1  api
  2  web
Number or name: db
warning: "db" is no answer: want one of api, web
Which?
  1  api
  2  web
Number or name: 2
  ok    both/ask (…)
  ok    both/wait (…)
chose web
  ok    both (…)
$
`
	if got := s.end(t, 0); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

// Ctrl-C ends a question and the run; Ctrl-D says that nobody answers.
func TestLiveAskIsLeft(t *testing.T) {
	s := asking(t)
	s.keys(t, "\x03")
	if got := s.end(t, 130); !strings.Contains(got, "Number or name: ^C\n") || !strings.Contains(got, "\ninterrupted\n") {
		t.Errorf("the terminal shows\n%s", got)
	}
	s = asking(t)
	s.keys(t, "\x04")
	if got := s.end(t, 2); !strings.Contains(got, "Number or name:\n") || !strings.Contains(got, "error: the terminal's input has ended without an answer. Which?\n") {
		t.Errorf("the terminal shows\n%s", got)
	}
}
