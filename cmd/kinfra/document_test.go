package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// `document FILE` does what a page of the repository tells its reader to do, in the
// page's order, so that no page can promise what the binary doesn't do:
//
//   - a fenced block with a file's name behind its language ("```python hello.star")
//     is written to that file; one of Starlark must have a name;
//   - in a block of "console", a line that begins with "$ " is run, and the lines
//     below it are what it must print, on stdout and stderr; where there are none,
//     any output will do. "…" stands for any text, on a line of its own for any lines;
//   - in a block of "sh", each line is run;
//   - a command must end with code 0, unless the next one is "echo $?".
//
// The reader's home is /home/you there.
func documentCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: document FILE")
	}
	data, err := os.ReadFile(filepath.Join("..", "..", args[0]))
	ts.Check(err)
	d := &document{ts: ts, code: "0"}
	for _, b := range blocksOf(string(data)) {
		d.block(b)
	}
	if d.commands == 0 {
		ts.Fatalf("%s tells the reader to run nothing: it has no block of sh or console", args[0])
	}
}

// block is a fenced block of a page.
type block struct {
	language, name string
	lines          []string
}

func blocksOf(text string) (all []block) {
	const fence = "```"
	var open *block
	for line := range strings.SplitSeq(text, "\n") {
		info, isFence := strings.CutPrefix(line, fence)
		switch {
		case isFence && open != nil:
			all = append(all, *open)
			open = nil
		case isFence:
			language, name, _ := strings.Cut(info, " ")
			open = &block{language: language, name: name}
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	return all
}

// document is a page being followed.
type document struct {
	ts       *testscript.TestScript
	code     string // of the last command
	commands int
}

func (d *document) block(b block) {
	switch {
	case b.name != "":
		path := d.ts.MkAbs(d.atHome(b.name))
		d.ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		d.ts.Check(os.WriteFile(path, []byte(strings.Join(b.lines, "\n")+"\n"), 0o644))
	case b.language == "python":
		d.ts.Fatalf("a script has no name, so it isn't run: %s", strings.Join(b.lines, "\n"))
	case b.language == "sh":
		for _, line := range b.lines {
			if line != "" && !strings.HasPrefix(line, "#") {
				d.run(line, nil, true)
			}
		}
	case b.language == "console":
		d.session(b.lines)
	}
}

// session follows commands and what they print.
func (d *document) session(lines []string) {
	const prompt, showCode = "$ ", "echo $?"
	for i := 0; i < len(lines); {
		command, ok := strings.CutPrefix(lines[i], prompt)
		if !ok {
			d.ts.Fatalf("want a command, got the line %q", lines[i])
		}
		end := i + 1
		for end < len(lines) && !strings.HasPrefix(lines[end], prompt) {
			end++
		}
		want := lines[i+1 : end]
		if command == showCode {
			if len(want) != 1 || want[0] != d.code {
				d.ts.Fatalf("the page says that the exit code is %q, it is %s", want, d.code)
			}
		} else {
			d.run(command, want, end == len(lines) || lines[end] != prompt+showCode)
		}
		i = end
	}
}

func (d *document) run(command string, want []string, mustSucceed bool) {
	d.commands++
	if command == "go test ./..." {
		return // that is what runs this
	}
	if dir, ok := strings.CutPrefix(command, "cd "); ok {
		d.ts.Check(d.ts.Chdir(d.ts.MkAbs(d.atHome(dir))))
		return
	}
	script := strings.ReplaceAll(command, "go run ./cmd/kinfra", "kinfra")
	err := d.ts.Exec("sh", "-c", "exec 2>&1\n"+script)
	d.code = "0"
	if err != nil {
		var ok bool
		if d.code, ok = strings.CutPrefix(err.Error(), "exit status "); !ok || mustSucceed {
			d.ts.Fatalf("%s: %v", command, err)
		}
	}
	got := strings.ReplaceAll(d.ts.ReadFile("stdout"), d.ts.Getenv("HOME"), "/home/you")
	if len(want) > 0 && !outputPattern(want).MatchString(strings.TrimRight(got, "\n")+"\n") {
		d.ts.Fatalf("%s: the page says that it prints\n%s\nbut it prints\n%s", command, strings.Join(want, "\n"), got)
	}
}

// atHome is a path of the page as it is here.
func (d *document) atHome(path string) string {
	if below, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(d.ts.Getenv("HOME"), below)
	}
	return path
}

func outputPattern(want []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range want {
		if line == "…" {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}
