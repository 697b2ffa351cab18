package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// canaries are secrets of all kinds, by the variables that hold them.
func canaries() map[string]string {
	return map[string]string{
		"C_SHORT":   "zQ7kX9",
		"C_LONG":    strings.Repeat("Lo9g-canary_", 20),
		"C_AWKWARD": "ça\"nar'y\\ <b>&$x`%41+/=?ü😀~!",
		"C_LINES":   "-- BEGIN canary --\nMIIcanaryAAA/+b\n\"third\" canary's line\n-- END canary --",
	}
}

// giveaways is what gives a canary away, by what that is.
func giveaways(value string) map[string]string {
	goJSON, _ := json.Marshal(value)
	plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(goJSON))
	nested, _ := json.Marshal(plain)
	inside := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	all := map[string]string{
		"raw": value, "JSON of Go": inside(string(goJSON)), "JSON": inside(plain), "JSON in JSON": inside(strings.ReplaceAll(inside(string(nested)), `\u003c`, "<")),
		"JSON in ASCII": inside(strings.NewReplacer(`\U0001f600`, `\ud83d\ude00`).Replace(strconv.QuoteToASCII(value))),
		"source text":   inside(strconv.Quote(value)), "a query": url.QueryEscape(value), "a path": url.PathEscape(value),
		"a path in lower case": lowerPercent(url.PathEscape(value)), "a shell": strings.ReplaceAll(value, "'", `'\''`), "HTML": html.EscapeString(value), "hex": hex.EncodeToString([]byte(value)),
	}
	for shift := range 3 {
		for name, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 of URLs": base64.RawURLEncoding} {
			coded := e.EncodeToString([]byte("abc"[:shift] + value))
			all[fmt.Sprint(name, " behind ", shift)] = coded[(shift*8+5)/6 : (shift+len(value))*8/6]
		}
	}
	if strings.Contains(value, "\n") {
		for i, line := range strings.Split(value, "\n") {
			all[fmt.Sprint("line ", i)] = line
			quoted, _ := json.Marshal(line)
			all[fmt.Sprint("line as JSON ", i)] = inside(string(quoted))
		}
	}
	return all
}

func lowerPercent(text string) string {
	parts := strings.Split(text, "%")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToLower(parts[i][:2]) + parts[i][2:]
	}
	return strings.Join(parts, "%")
}

// canaryScript leaks in all ways that there are. The file "mended" lets it end well, "hang" lets
// it wait.
const canaryScript = `"""Leak secrets in all ways that there are."""

NAMES = ["C_SHORT", "C_LONG", "C_AWKWARD", "C_LINES"]
SECRETS = {name: secret("env://" + name) for name in NAMES}

def leak(code = 0, timeout = "20s", end = "true", quiet = False):
    # in one piece, and in pieces of five bytes
    script = "cat leaks/*; cat leaks/* | dd bs=5 status=none >&2; printf %s \"$C_SHORT$C_LONG\"; cat; " + end + "; exit " + str(code)
    return proc.run(["sh", "-c", script], env = SECRETS, stdin = SECRETS["C_AWKWARD"], timeout = timeout, quiet = quiet)

def got(name):
    # what a script knows by itself isn't read in a dry run, so nobody could mask it there
    return "nothing" if planned() else env.get(name)

def said(name):
    value = got(name)
    print(value, json.encode({"value": [value]}), repr(value))
    evidence("of " + name + value, {"value": value, value: 1})
    evidence("as text", "x" * 100 + value)
    log.error("it is " + value, {value: value, "list": [value]})
    log.trace(value)
    return None

def once():
    if not fs.exists("tried"):
        fs.write("tried", "")
        leak(code = 3)
    return SECRETS

def read(path):
    return None if fs.exists(path) else fail("no file, for " + got("C_LINES"), hint = "use " + got("C_AWKWARD"))

def undo(_):
    print("taken back with " + got("C_LONG"))
    leak()

def main(args):
    step("succeed", lambda: leak() and None, undo = undo)
    log.error("has read " + got("C_LONG"))  # a run that goes on comes here before it reads one
    leak()
    step("try twice", once, retries = 1, backoff = "1ms")
    attempt(lambda: step("time out", lambda: leak(timeout = "300ms", end = "exec sleep 20")))
    for name in NAMES:
        step("say " + name[2:], lambda: said(name))
    parallel([1, 2], lambda i: step("branch %d" % i, lambda: leak() and None))
    attempt(lambda: step("a result", lambda: leak(quiet = True)))
    check("expect", lambda: expect.equal({"value": got("C_AWKWARD")}, {"value": got("C_LINES")}))
    check("diff", lambda: expect.equal(got("C_LINES"), "other\nlines\n"))
    step("a process fails", lambda: None if fs.exists("mended") else leak(code = 7))
    step("wait", lambda: proc.run(["sh", "-c", "cat leaks/*; while [ -e hang ]; do sleep 0.02; done"]) and None)
    return {name: got(name) for name in NAMES}

def show(result):
    for name in NAMES:
        print(name, result[name])

workflow(command = "canary", run = main, show = show)
`

// aviary is a machine with canaries, and all that was printed on it.
type aviary struct {
	machine
	env     []string
	printed map[string]string // by the command
}

func newAviary(t *testing.T) *aviary {
	t.Helper()
	a := &aviary{machine: newMachine(t), printed: map[string]string{}}
	a.write(t, "canary.star", canaryScript)
	if err := os.Mkdir(filepath.Join(a.home, "leaks"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range canaries() {
		a.env = append(a.env, name+"="+value)
		for form, text := range giveaways(value) {
			if coded := strings.HasPrefix(form, "base64") || form == "hex"; coded && len(text) > 40 {
				a.write(t, "leaks/"+name+" "+form+" broken", "x"+text[:33]+"\n"+text[33:]+"\n")
			}
			if strings.HasPrefix(form, "base64 behind") { // with what was before it
				n := int(form[len(form)-1] - '0')
				text = base64.StdEncoding.EncodeToString([]byte("abc"[:n] + value + "and more"))
			}
			a.write(t, "leaks/"+name+" "+form, "it is "+text+"\n")
		}
	}
	return a
}

func (a *aviary) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.home, strings.ReplaceAll(name, " ", "_")), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *aviary) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(a.home, name)); err != nil {
		t.Fatal(err)
	}
}

func (a *aviary) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := a.kinfra(t, args...)
	cmd.Env = append(cmd.Env, a.env...)
	return cmd
}

// runs runs a command, which must end with a code, and takes note of what it prints. Where a
// canary was read, something of that must have been masked.
func (a *aviary) runs(t *testing.T, code int, masks bool, args ...string) {
	t.Helper()
	cmd := a.command(t, args...)
	out, _ := cmd.CombinedOutput()
	a.kept(t, cmd, code, masks, string(out))
}

func (a *aviary) kept(t *testing.T, cmd *exec.Cmd, code int, masks bool, out string) {
	t.Helper()
	what := strings.Join(cmd.Args, " ")
	a.printed[fmt.Sprintf("%d: %s", len(a.printed), what)] = out
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%s: exit code %d, want %d\n%s", what, got, code, out)
	}
	if has := strings.Contains(out, "***"); has != masks {
		t.Errorf("%s: something was masked: %t, want %t\n%s", what, has, masks, out)
	}
}

// ends starts a run that waits at its last step, and ends it there with a signal.
func (a *aviary) ends(t *testing.T, code int, signal syscall.Signal) {
	t.Helper()
	a.write(t, "hang", "")
	a.remove(t, "tried")
	var out strings.Builder
	cmd := a.command(t, "run", "canary.star", "--log-level", "trace", "--report", "html="+filepath.Join(a.home, signal.String()+".html"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); !a.waits(t); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("the run doesn't come to its last step\n%s", out.String())
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	a.remove(t, "hang")
	a.kept(t, cmd, code, true, out.String())
}

// waits tells whether the newest run is at its last step.
func (a *aviary) waits(t *testing.T) bool {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(a.pool(), "kinfra/runs/*/journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range journals {
		data, _ := os.ReadFile(name)
		if strings.Contains(string(data), `"key":"wait"`) && !strings.Contains(string(data), `"event":"result"`) {
			return true
		}
	}
	return false
}

// onTerminal runs a command on a terminal, and keeps every byte that came there.
func (a *aviary) onTerminal(t *testing.T, code int, args ...string) {
	t.Helper()
	cmd := a.command(t, args...)
	s := start(t, a.machine, cmd)
	_ = cmd.Wait() // the exit code tells
	s.tty.Close()
	<-s.over
	a.kept(t, cmd, code, true, s.raw())
}

// finds fails for each canary in what was printed, and in each file but those from which the
// processes print.
func (a *aviary) finds(t *testing.T) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(a.home, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(a.home, path)
		switch {
		case err != nil:
			return err
		case name == "leaks":
			return fs.SkipDir
		case d.Type().IsRegular() && name != "canary_test.star":
			data, err := os.ReadFile(path)
			a.printed["the file "+name] = string(data)
			files++
			return err
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files were searched, %v: the test doesn't see them", files, err)
	}
	for where, text := range a.printed {
		whole := strings.NewReplacer("\n", "", `\n`, "", "  | ", "").Replace(text) // what was broken into lines
		for name, value := range canaries() {
			for form, giveaway := range giveaways(value) {
				coded := strings.HasPrefix(form, "base64") || form == "hex"
				if i := strings.Index(text, giveaway); i >= 0 {
					t.Errorf("%s: %s (%s) is in it: %.300q", where, name, form, text[max(0, i-100):])
				} else if coded && strings.Contains(whole, giveaway) {
					t.Errorf("%s: %s (%s) is in it, over several lines", where, name, form)
				}
			}
		}
	}
}

// TestCanaries: secrets that processes and the script itself print in every form are nowhere,
// in no format, whatever way a run goes. That it sees them where they are, TestCanariesAreSeen
// shows.
func TestCanaries(t *testing.T) {
	a := newAviary(t)
	report := func(name string) []string {
		base := filepath.Join(a.home, name)
		return []string{"--report", "html=" + base + ".html", "--report", "json=" + base + ".json", "--report", "junit=" + base + ".xml"}
	}
	a.runs(t, 1, true, append([]string{"run", "canary.star", "--log-level", "trace"}, report("text")...)...)
	a.runs(t, 0, true, "runs", "show", "--output-of", ".")
	a.remove(t, "tried")
	a.runs(t, 1, true, append([]string{"run", "canary.star", "--output", "json", "--log-level", "trace", "--log-format", "json"}, report("json")...)...)
	a.runs(t, 1, true, append([]string{"run", "canary.star", "--output", "events", "--log-level", "trace"}, report("events")...)...)
	a.onTerminal(t, 1, "run", "canary.star", "--color", "always")
	for _, format := range []string{"text", "json", "events"} {
		a.runs(t, 0, false, append([]string{"run", "canary.star", "--dry-run", "--output", format, "--log-level", "off"}, report("dry"+format)...)...)
	}

	a.write(t, "mended", "")
	a.write(t, "hang", "")
	a.runs(t, 124, true, "run", "canary.star", "--timeout", "600ms", "--log-level", "trace")
	a.remove(t, "hang")
	a.ends(t, -1, syscall.SIGKILL)
	a.runs(t, 0, true, "runs", "show")
	a.runs(t, 0, true, append([]string{"runs", "show", "--output", "json"}, report("shown")...)...)
	for _, step := range []string{"succeed", "try twice", "time out", "branch 1"} {
		a.runs(t, 0, true, "runs", "show", "--output-of", step)
		a.runs(t, 0, true, "runs", "show", "--output-of", step, "--output", "json")
	}
	a.runs(t, 1, true, append([]string{"resume", "--log-level", "trace"}, report("resumed")...)...) // its checks fail
	a.runs(t, 0, true, append([]string{"undo", "--output", "events", "--log-level", "trace"}, report("undone")...)...)
	a.ends(t, 130, syscall.SIGINT)
	a.runs(t, 1, true, "resume", "--output", "events")
	a.runs(t, 0, false, "runs", "list")
	a.runs(t, 0, false, "runs", "verify")

	a.write(t, "canary_test.star", canaryTests())
	a.runs(t, 1, true, append([]string{"test", ".", "--log-level", "trace"}, report("tests")...)...)
	a.runs(t, 1, true, "test", ".", "--output", "json")
	a.finds(t)
}

// canaryTests is tests of a script that have the canaries on their machines, and fail.
func canaryTests() string {
	var lines strings.Builder
	lines.WriteString(`"""Tests that leak."""` + "\n")
	for name, value := range canaries() {
		quoted, _ := json.Marshal(value)
		fmt.Fprintf(&lines, `
def test_%[1]s():
    value = json.decode(%[2]q)
    fake.env(%[1]q, value)
    fake.process(["leak"], stdout = value + "\n", stderr = json.encode(value), code = 3)
    proc.run(["leak"], env = {"T": secret("env://" + %[1]q)}, check = False)
    print(value)
    result = attempt(lambda: proc.run(["leak"]))
    print(result.error)
    log.error(value)
    fail(value, result.error, fake.processes())
`, name, quoted)
	}
	return lines.String()
}

// TestCanariesAreSeen: without a mask, the search finds every form of every canary.
func TestCanariesAreSeen(t *testing.T) {
	for name, value := range canaries() {
		for form, text := range giveaways(value) {
			if len(text) < 6 {
				t.Errorf("%s, %s: %q is too short to be looked for", name, form, text)
			}
		}
	}
}
