//go:build linux

package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/gotool"
)

// What an attack may take of the machine. Most of them take a hundredth.
const (
	mostSeconds = 75                // of the processor: a run may clean up for a minute
	mostTime    = 120 * time.Second // in all, since other tests run beside
	mostData    = 3 << 20           // KiB: the limit of the system
	mostMemory  = 512 << 10         // KiB that are resident where nothing is run
	mostOutput  = 64 << 20          // bytes of a stream
	timedOut    = 124               // the code of what is over its time
)

// attack is a file, and what running it must say.
type attack struct {
	name string
	make func(t *testing.T, dir string) // makes attack.star and what belongs to it
	code int                            // with which kinfra run ends, -1: any that is documented
	says string                         // a pattern for what it then prints
}

// command is one that looks at scripts. In its arguments FILE is the attack, TEST the
// same as a file of tests.
type command struct {
	name string
	args []string
}

// commands are those that every attack is tried on, and more for those that have to do
// with names and what is printed.
func commands(more bool) []command {
	lines := map[string]string{
		"run":        "--timeout 400ms --yes run FILE",
		"test":       "--timeout 400ms test TEST",
		"check":      "check FILE",
		"fmt":        "fmt --check FILE",
		"doc":        "--scripts . doc attack.star",
		"help":       "--scripts . --help",
		"completion": "__complete --scripts . run FILE --",
	}
	if more {
		maps.Copy(lines, map[string]string{
			"dry run":    "--timeout 400ms run --dry-run FILE",
			"own help":   "--timeout 400ms run FILE --help",
			"diff":       "fmt --diff FILE",
			"words":      "__complete --scripts . attack",
			"list":       "--scripts . scripts list",
			"show":       "--scripts . scripts show attack.star",
			"difference": "--scripts . scripts diff attack.star",
		})
	}
	var all []command
	for name, line := range lines {
		all = append(all, command{name, strings.Fields(line)})
	}
	return all
}

func TestAttacks(t *testing.T) {
	kinfra := build(t)
	few, more := slices.Concat(runtimeAttacks(), sourceAttacks()), slices.Concat(terminalAttacks(), fileAttacks())
	if len(few)+len(more) < 60 {
		t.Fatalf("only %d attacks", len(few)+len(more))
	}
	try(t, kinfra, few, commands(false))
	try(t, kinfra, more, commands(true))
}

// try has each command look at each attack.
func try(t *testing.T, kinfra string, all []attack, commands []command) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kinfra)
			a.make(t, s.dir)
			s.alsoAsTest(t)
			for _, c := range commands {
				s.attack(t, a, c)
			}
		})
	}
}

// build makes the binary.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kinfra")
	if _, err := gotool.Run(t.Context(), "build", "-o", path, "../../cmd/kinfra"); err != nil {
		t.Fatal(err)
	}
	return path
}

// stage is a home with nothing but the attack.
type stage struct {
	kinfra string
	dir    string
}

func newStage(t *testing.T, kinfra string) *stage {
	t.Helper()
	return &stage{kinfra, t.TempDir()}
}

// alsoAsTest lets the attack be a file of tests, too.
func (s *stage) alsoAsTest(t *testing.T) {
	t.Helper()
	if err := os.Symlink("attack.star", filepath.Join(s.dir, "attack_test.star")); err != nil {
		t.Fatal(err)
	}
}

// ended is what came of a process.
type ended struct {
	stdout, stderr string
	code           int    // -1 if a signal ended it
	how            string // how, in words
	memory         int64  // KiB that were resident
	runs           bool   // it runs what it is given
	err            error  // what kept it from being run, or from ending by itself
}

func (s *stage) run(t *testing.T, args []string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mostTime)
	defer cancel()
	limits := fmt.Sprintf(`ulimit -d %d && ulimit -t %d && ulimit -c 0 || exit 99; exec "$@"`, mostData, mostSeconds)
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", limits, "sh", s.kinfra}, args...)...)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + filepath.Join(s.dir, "home"), "PATH=" + os.Getenv("PATH"), "DOCKER_HOST=unix:///nowhere", "SECRET=hidden"}
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	e := ended{stdout: stdout.String(), stderr: stderr.String()}
	if cmd.ProcessState == nil || ctx.Err() != nil || stdout.over || stderr.over {
		e.err = errors.Join(errors.New("it didn't end by itself, or printed without end"), err, ctx.Err())
		return e
	}
	e.code, e.how = cmd.ProcessState.ExitCode(), cmd.ProcessState.String()
	e.memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	return e
}

// output keeps what a process prints, up to a limit; printing more ends it.
type output struct {
	bytes.Buffer
	over bool
}

func (o *output) Write(p []byte) (int, error) {
	if o.over = o.over || o.Len()+len(p) > mostOutput; o.over {
		return 0, errors.New("too much output")
	}
	return o.Buffer.Write(p)
}

// attack has a command look at the attack, and judges what comes of it.
func (s *stage) attack(t *testing.T, a attack, c command) {
	t.Helper()
	args := slices.Clone(c.args)
	for i := range args {
		args[i] = strings.NewReplacer("FILE", "attack.star", "TEST", "attack_test.star").Replace(args[i])
	}
	e := s.run(t, args)
	e.runs = slices.Contains(args, "run") || c.name == "test"
	for _, fault := range faults(e) {
		t.Errorf("%s: %s (%s)\nstdout: %.300q\nstderr: %.600q", c.name, fault, e.how, e.stdout, e.stderr)
	}
	if c.name != "run" || e.err != nil {
		return
	}
	if e.code == timedOut { // an attack that ends soon may not, beside other tests
		return
	}
	if a.code >= 0 && e.code != a.code {
		t.Errorf("%s: the code is %d, want %d\nstdout: %.300q\nstderr: %.600q", c.name, e.code, a.code, e.stdout, e.stderr)
	}
	if printed := e.stdout + e.stderr; !regexp.MustCompile(a.says).MatchString(printed) {
		t.Errorf("%s: %q isn't said in %.600q", c.name, a.says, printed)
	}
}

// faults is what is wrong with how a process ended.
func faults(e ended) []string {
	if e.err != nil {
		return []string{e.err.Error()}
	}
	var all []string
	if !slices.Contains([]int{0, 1, 2, 3, 4, 5, 6, 124, 130}, e.code) {
		all = append(all, fmt.Sprintf("the code %d is not documented", e.code))
	}
	if !e.runs && e.memory > mostMemory {
		all = append(all, fmt.Sprintf("it took %d MiB", e.memory>>10))
	}
	printed := e.stdout + e.stderr
	if e.code != 0 && strings.TrimSpace(printed) == "" {
		all = append(all, "nothing is said")
	}
	if trace := regexp.MustCompile(`goroutine \d+ \[|runtime: |panic: |fatal error: |SIGSEGV`).FindString(printed); trace != "" {
		all = append(all, fmt.Sprintf("Go's runtime speaks: %q", trace))
	}
	for _, stream := range []string{e.stdout, e.stderr} {
		if leak := leakIn(stream); leak != "" {
			all = append(all, "a character that a reader doesn't see: "+leak)
		}
	}
	return all
}

// leakIn is what of an output isn't text, by a table of its own; "" if all is.
func leakIn(out string) string {
	unseen := regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
	if at := unseen.FindStringIndex(out); at != nil {
		return strconv.QuoteToASCII(out[max(0, at[0]-20):min(len(out), at[1]+20)])
	}
	if !utf8.ValidString(out) {
		return "what is not UTF-8"
	}
	return ""
}

// TestJudge: the judge of the attacks sees what it must not let pass.
func TestJudge(t *testing.T) {
	for fault, e := range map[string]ended{
		"a trace":         {stderr: "panic: oh\n\ngoroutine 1 [running]:\n", code: 2},
		"out of memory":   {stderr: "fatal error: out of memory\n", code: 2},
		"an escape code":  {stdout: "a\x1b[2J\n"},
		"a bidi mark":     {stdout: "a\u202e\n"},
		"bytes":           {stdout: "a\xff\n"},
		"silence":         {code: 1},
		"a strange code":  {stderr: "error: x\n", code: 77},
		"a signal":        {stderr: "error: x\n", code: -1},
		"much memory":     {stdout: "x\n", memory: mostMemory + 1},
		"a hanging child": {err: errors.New("late")},
	} {
		if len(faults(e)) == 0 {
			t.Errorf("%s passes", fault)
		}
	}
	if all := faults(ended{stdout: "error: the text says \"goroutine\"\n", code: 1}); len(all) > 0 {
		t.Errorf("what is well is found faulty: %s", all)
	}
	s := &stage{kinfra: "/bin/sh", dir: t.TempDir()}
	if e := s.run(t, []string{"-c", "ulimit -d; ulimit -t"}); e.stdout != fmt.Sprintf("%d\n%d\n", mostData, mostSeconds) {
		t.Errorf("the limits of a process are %q", e.stdout)
	}
}
