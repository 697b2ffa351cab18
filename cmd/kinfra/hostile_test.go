package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// attack is characters that would rewrite a terminal or hide a part of a text, and how
// they must be shown.
type attack struct{ name, raw, shown string }

func attacks() []attack {
	return []attack{
		{"erasing the screen", "\x1b[2J", `\x1b[2J`},
		{"the title", "\x1b]0;x\a", `\x1b]0;x\a`},
		{"kinfra's own colour", "\x1b[31m", `\x1b[31m`},
		{"going back", "\b\x02", `\b\x02`},
		{"the start of the line", "\r", `\r`},
		{"DEL", "\x7f", `\x7f`},
		{"C1", "\u009b2J\u0084", `\u009b2J\u0084`},
		{"bidi", "\u061c\u200e\u202e\u2066", `\u061c\u200e\u202e\u2066`},
		{"zero width", "\u200b\u200d\u2060\ufeff", `\u200b\u200d\u2060\ufeff`},
		{"separators", "\u2028\u2029", `\u2028\u2029`},
		{"tags", "\U000e0001\U000e0041", `\U000e0001\U000e0041`},
	}
}

// noText is an attack that only a file's name, an argument or a process can make.
func noText() attack { return attack{"no UTF-8", "\x9b2J\xff", `\x9b2J\xff`} }

// joined is all attacks as one text.
func joined(all []attack) string {
	text := ""
	for _, a := range all {
		text += "<" + a.raw + ">"
	}
	return text
}

// leaks is what of an output isn't text, by tables of its own.
func leaks(out string) []string {
	unseen := regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]+")
	var found []string
	for _, at := range unseen.FindAllStringIndex(out, -1) {
		found = append(found, strconv.QuoteToASCII(out[max(0, at[0]-20):min(len(out), at[1]+20)]))
	}
	if !utf8.ValidString(out) {
		found = append(found, "what is not UTF-8")
	}
	return found
}

// withoutOwn is what a terminal was sent without kinfra's colours, its drawing, and the
// returns that the system adds.
func withoutOwn(out string) string {
	out = regexp.MustCompile("\x1b\\[(?:0|1|2|31|32|33|36)m").ReplaceAllString(out, "")
	drawing := regexp.MustCompile("\x1b\\[\\?7l\r\x1b\\[K(?s:.*?)\x1b\\[J\x1b\\[[0-9]+A\r\x1b\\[\\?7h")
	out = drawing.ReplaceAllStringFunc(out, func(frame string) string {
		return regexp.MustCompile("\x1b\\[K|\x1b\\[J\x1b\\[[0-9]+A\r\x1b\\[\\?7h$|^\x1b\\[\\?7l\r").ReplaceAllString(frame, "")
	})
	return strings.NewReplacer("\r\r\n", "\n", "\r\n", "\n", "\r\x1b[J", "").Replace(out)
}

// stage is a machine on which all that others can name or write is an attack.
type stage struct {
	machine
	text   string // all attacks
	source string // those that can stand in a script's source
	bytes  string // with what is not UTF-8
	run    string // the ID of a recorded run
}

func (s *stage) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(s.home, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hostileScript makes everything that a script can say an attack, and fails with one.
const hostileScript = `
def main(args):
    print(TEXT)
    log.warn(TEXT, {TEXT: TEXT})
    step(TEXT, lambda: [evidence(TEXT, TEXT), proc.run(["sleep", "0.3"])], undo = lambda _: fail(TEXT))
    step("again" + TEXT, once, retries = 1, backoff = "1ms")
    wrong = check("wrong" + TEXT, lambda: fail(TEXT))
    check("skipped" + TEXT, lambda: None, needs = [wrong])
    fail(TEXT, hint = TEXT)

def once():
    if not fs.exists("tried"):
        fs.write("tried", "")
        fail(TEXT)

workflow(command = "hostile", run = main, args = [arg.string("words", optional = True)])
`

func newStage(t *testing.T) *stage {
	text := joined(attacks())
	s := &stage{machine: newMachine(t), text: text, source: strings.ReplaceAll(text, "\r", ""), bytes: text + joined([]attack{noText()})}
	literal := strconv.QuoteToASCII(text)
	s.write(t, "hostile.star", `"""`+s.source+`"""`+"\nTEXT = "+literal+hostileScript)
	s.write(t, "process.star", `proc.run(["cat", "bytes"]+["`+"missing"+`"])`+"\n")
	s.write(t, "bytes", s.bytes)
	s.write(t, "decode.star", "yaml.decode("+literal+" + \": [\")\n")
	s.write(t, "json.star", "print(json.encode("+literal+"))\n")
	s.write(t, s.text+"/fault.star", "x=undefined # "+s.source+"\n")
	s.write(t, s.text+"/x_test.star", "def test_x():\n    print("+literal+")\n    fail("+literal+")\n")
	s.write(t, ".config/kinfra/scripts/odd.star", `"""`+s.source+"\n\n"+s.source+`"""`+"\nx=1 # "+s.source+`
def main(args):
    """`+s.source+`"""
workflow(command = "odd", run = main, flags = {"name": flag.string(choices = [`+literal+`], help = `+literal+`)})
`)
	s.write(t, "project/.kinfra/x.star", "x = 1 # "+s.source+"\n")
	s.write(t, "compose/compose.yaml", "services:\n  "+strconv.QuoteToASCII(text)+": {image: x, ports: ['1:1']}\n")
	m := s.machine
	m.run(t, "sandbox", "provision", "--slot", "1")
	m.run(t, "sandbox", "provision", "--slot", "1", "--root", filepath.Join(s.home, "root"+s.source))
	pool, err := os.ReadFile("../../scripts/pool.star")
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, ".config/kinfra/scripts/pool.star", string(pool)+"# "+s.source+"\n")
	s.rewrite(t)
	_ = m.kinfra(t, "run", "hostile.star", s.bytes).Run() // it fails
	out, err := m.kinfra(t, "runs", "list", "--output", "json").Output()
	var listed struct {
		Result struct{ Runs []struct{ ID string } }
	}
	if json.Unmarshal(out, &listed) != nil || len(listed.Result.Runs) != 1 {
		t.Fatalf("there is no record: %v\n%s", err, out)
	}
	s.run = listed.Result.Runs[0].ID
	s.write(t, "damaged/sandbox/instances.json", `{"`+s.text+`": `+"\x1b")
	return s
}

// rewrite has another tool enter attacks in the registry, and in a slot's env file.
func (s *stage) rewrite(t *testing.T) {
	t.Helper()
	quoted, _ := json.Marshal(s.text) // a string can't fail
	path := ".ktrdr/sandbox/instances.json"
	data, err := os.ReadFile(filepath.Join(s.home, path))
	if err != nil {
		t.Fatal(err)
	}
	held := strings.Replace(string(data), `"claimed_by": null`, `"claimed_by": `+string(quoted), 1)
	s.write(t, path, strings.Replace(held, `"profile": "light"`, `"profile": `+string(quoted), 1))
	s.write(t, ".ktrdr/sandboxes/slot-1/.env.sandbox", "A='"+strings.ReplaceAll(s.text, "\r", "")+"'\n")
}

// hostileEngine has a container of the slot whose every word is an attack. It is gone
// with the test.
func hostileEngine(t *testing.T, s *stage) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // the test's own directory is too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	containers, _ := json.Marshal([]any{map[string]any{ // strings can't fail
		"Id": "1", "Names": []string{"/" + s.text}, "Image": s.text, "State": "running", "Status": "Up " + s.text,
		"Labels": map[string]string{"com.docker.compose.project": "slot-1", "com.docker.compose.service": s.text, "com.docker.compose.project.working_dir": "/" + s.text},
	}})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(containers) })}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		os.RemoveAll(dir)
	})
	return "unix://" + socket
}

// outlet is a command by which attacks could come out.
type outlet struct {
	name string
	args []string
	dir  string   // below home
	env  []string // beside that of the machine
	only string   // the one mode that there is; "" for all
	sees []attack // what must be shown; none where it can't be told in which form
}

func outlets(s *stage, engine string) []outlet {
	text := attacks()
	source := slices.DeleteFunc(attacks(), func(a attack) bool { return a.raw == "\r" })
	prose := slices.DeleteFunc(slices.Clone(source), func(a attack) bool { return a.name == "separators" }) // which are blanks
	all := append(attacks(), noText())
	docker := []string{"DOCKER_HOST=" + engine}
	return []outlet{
		{name: "a word", args: []string{s.bytes}, sees: all},
		{name: "a flag", args: []string{"sandbox", "slots", "--x" + s.bytes}, sees: all},
		{name: "a flag's value", args: []string{"sandbox", "provision", "--slot", s.bytes}, sees: all},
		{name: "a global flag's value", args: []string{"sandbox", "slots", "--timeout", s.bytes}, sees: all},
		{name: "a choice", args: []string{"odd", "--name", s.bytes}, sees: all},
		{name: "a file to run", args: []string{"run", s.bytes + ".star"}, sees: all},
		{name: "a name of a script", args: []string{"scripts", "show", s.bytes}, sees: all},
		{name: "a name of a builtin", args: []string{"doc", s.bytes}, sees: all},
		{name: "a directory to format", args: []string{"fmt", "--check", s.text}, sees: text},
		{name: "a directory to check", args: []string{"check", s.text}, sees: text},
		{name: "a diff", args: []string{"fmt", "--diff", s.text}, sees: text},
		{name: "a test", args: []string{"test", s.text}, sees: text},
		{name: "a listing", args: []string{"test", s.text, "--cover", "--listing", "-"}, only: "text"},
		{name: "a source", args: []string{"scripts", "show", "odd"}, sees: source},
		{name: "a source's excerpt", args: []string{"run", filepath.Join(s.text, "fault.star")}, sees: text},
		{name: "a change of a source", args: []string{"scripts", "diff", "pool"}, sees: source},
		{name: "a project's source", args: []string{"trust", "--dry-run"}, dir: "project", only: "text", sees: source},
		{name: "the help of all", args: []string{"--help"}, only: "text", sees: source},
		{name: "the help of one", args: []string{"odd", "--help"}, only: "text", sees: text},
		{name: "the docs of one", args: []string{"doc", "odd.star"}, sees: prose},
		{name: "the docs of all", args: []string{"doc"}, sees: prose},
		{name: "a run", args: []string{"run", "hostile.star", s.bytes}, sees: text},
		{name: "a log of JSON", args: []string{"run", "hostile.star", "--log-format", "json", "--log-level", "trace"}, only: "text", sees: text},
		{name: "a process", args: []string{"run", "process.star"}},
		{name: "YAML", args: []string{"run", "decode.star"}},
		{name: "the runs", args: []string{"runs", "list"}, sees: text},
		{name: "one of the runs", args: []string{"runs", "show", s.run}, sees: text},
		{name: "an undo", args: []string{"undo", s.run, "--dry-run"}, sees: text},
		{name: "completing a run", args: []string{"__complete", "runs", "show", ""}, only: "text", sees: text},
		{name: "completing a flag", args: []string{"__complete", "odd", "--name", ""}, only: "text", sees: text},
		{name: "completing a word", args: []string{"__complete", s.bytes, ""}, only: "text"},
		{name: "the slots", args: []string{"sandbox", "slots"}, sees: text},
		{name: "a slot", args: []string{"sandbox", "status", "1"}, sees: text},
		{name: "a slot's variables", args: []string{"sandbox", "env", "1"}},
		{name: "containers", args: []string{"sandbox", "status", "1"}, env: docker, sees: text},
		{name: "the doctor", args: []string{"doctor"}, env: docker},
		{name: "the root", args: []string{"sandbox", "slots", "--root", filepath.Join(s.home, "root"+s.source)}},
		{name: "the pools", args: []string{"pools"}},
		{name: "the ports", args: []string{"ports"}},
		{name: "a damaged registry", args: []string{"sandbox", "slots", "--root", filepath.Join(s.home, "damaged")}},
		{name: "a worktree", args: []string{"sandbox", "claim", "--for", filepath.Join(s.home, s.bytes)}, sees: all},
		{name: "a compose project", args: []string{"init"}, dir: "compose"},
		{name: "a report", args: []string{"runs", "show", s.run, "--report", "html=" + filepath.Join(s.home, s.bytes, "x")}, sees: all},
		{name: "the environment", args: []string{"sandbox", "slots"}, env: []string{"KINFRA_ROOT=" + s.bytes}, sees: all},
		{name: "the address of Docker", args: []string{"sandbox", "status", "1"}, env: []string{"DOCKER_HOST=" + s.bytes}, sees: all},
	}
}

// No attack leaves kinfra by any command, whatever it is printed to, and what it was is
// seen.
func TestHostileTexts(t *testing.T) {
	s := newStage(t)
	engine := hostileEngine(t, s)
	for _, o := range outlets(s, engine) {
		t.Run(o.name, func(t *testing.T) {
			for mode, flags := range map[string][]string{"text": nil, "colours": {"--color", "always"}, "terminal": nil, "json": {"--output", "json"}, "events": {"--output", "events"}} {
				isText := mode == "text" || mode == "colours" || mode == "terminal"
				if o.only != "" && !isText {
					continue
				}
				args := slices.Clone(o.args)
				if args[0] != "__complete" {
					args = append(flags, args...)
				}
				os.Remove(filepath.Join(s.home, "tried"))
				cmd := s.kinfra(t, args...)
				cmd.Dir = filepath.Join(s.home, o.dir)
				cmd.Env = append(append(cmd.Env, "COLUMNS=", "DOCKER_HOST=unix:///nowhere"), o.env...)
				stdout, stderr := printed(t, cmd, mode == "terminal")
				for stream, out := range map[string]string{"stdout": stdout, "stderr": stderr} {
					if mode == "terminal" || mode == "colours" || slices.Contains(args, "always") {
						out = withoutOwn(out)
					}
					for _, leak := range leaks(out) {
						t.Errorf("%s, %s: %s", mode, stream, leak)
					}
				}
				if isText {
					seenIn(t, mode, withoutOwn(stdout+stderr), o.sees)
				} else {
					seenInJSON(t, mode, stdout, o.sees)
				}
			}
		})
	}
}

// printed is what a command prints to a pipe, or to a terminal as one stream.
func printed(t *testing.T, cmd *exec.Cmd, terminal bool) (stdout, stderr string) {
	t.Helper()
	if !terminal {
		var out, err bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &err
		_ = cmd.Run() // most of them fail
		return out.String(), err.String()
	}
	m := newMachine(t)
	s := start(t, m, cmd)
	s.resize(t, 1000, 50) // rows hold whole names
	_ = s.cmd.Wait()
	io.WriteString(s.tty, "$\n")
	s.wait(t, "$", func() bool { return strings.HasSuffix(s.raw(), "$\r\n") })
	return strings.TrimSuffix(s.raw(), "$\r\n"), ""
}

func seenIn(t *testing.T, mode, out string, wanted []attack) {
	t.Helper()
	for _, a := range wanted {
		if !strings.Contains(out, "<"+a.shown+">") {
			t.Errorf("%s: %s isn't shown in\n%s", mode, a.name, out)
			return
		}
	}
}

// seenInJSON looks for attacks in the strings of JSON, or for how an error quotes them.
// What isn't UTF-8 no JSON can say.
func seenInJSON(t *testing.T, mode, out string, wanted []attack) {
	t.Helper()
	values := ""
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Errorf("%s: %v in\n%s", mode, err, out)
			return
		}
		values += fmt.Sprintf("%v\n", v)
	}
	if values == "" {
		t.Errorf("%s: nothing was printed", mode)
	}
	for _, a := range wanted {
		if a != noText() && !strings.Contains(values, "<"+a.raw+">") && !strings.Contains(values, "<"+a.shown+">") {
			t.Errorf("%s: %s isn't in\n%s", mode, a.name, out)
		}
	}
}

// What another program reads is exact: a shell gets the values, and JSON that a script
// prints is JSON.
func TestHostileValues(t *testing.T) {
	s := newStage(t)
	cmd := s.kinfra(t)
	cmd.Args, cmd.Path = []string{"sh", "-c", `eval "$(kinfra sandbox env 1)" && printf %s "$A"`}, "/bin/sh"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != s.source {
		t.Errorf("%v: a shell reads %+q, want %+q", err, out, s.source)
	}
	out, err := s.kinfra(t, "run", "json.star").Output()
	var text string
	if err != nil || json.Unmarshal(out, &text) != nil || text != s.text {
		t.Errorf("%v: %s means %+q", err, out, text)
	}
	for _, leak := range leaks(string(out)) {
		t.Error(leak)
	}
}

// A line of the log as JSON is JSON, with what was logged.
func TestHostileLog(t *testing.T) {
	var out bytes.Buffer
	text := joined(attacks())
	g := globals{logLevel: "warn", logFormat: "json"}
	g.log(inMemory(&out)).Warn(text, text, text)
	var line map[string]string
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["@message"] != text || line[text] != text {
		t.Errorf("%v in %s", err, &out)
	}
	for _, leak := range leaks(out.String()) {
		t.Error(leak)
	}
}

// Reports are files that are looked at like output.
func TestHostileReports(t *testing.T) {
	s := newStage(t)
	for _, kind := range []string{"html", "junit", "json"} {
		file := filepath.Join(s.home, "report."+kind)
		s.machine.run(t, "runs", "show", s.run, "--report", kind+"="+file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range leaks(string(data)) {
			t.Errorf("%s: %s", kind, leak)
		}
		switch text := string(data); kind {
		case "json":
			seenInJSON(t, kind, text, attacks())
		default: // both write brackets as markup has it
			seenIn(t, kind, strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(text), attacks())
		}
	}
}
