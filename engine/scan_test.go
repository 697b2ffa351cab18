package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
)

// What is found by a file's tokens is what its evaluation declares.
func TestScan(t *testing.T) {
	const run = "def run(args):\n    pass\n\n"
	for _, c := range []struct {
		name, src string
		commands  []string
		doc       string
		computed  bool // the declaration isn't found, which is refused
	}{
		{name: "plain", src: run + `workflow(command = "a b", run = run)`, commands: []string{"a b"}},
		{name: "docstring", src: "\"\"\"One.\n\nTwo.\n\"\"\"\n" + run + "workflow(run = run, command = 'a')", commands: []string{"a"}, doc: "One.\n\nTwo."},
		{name: "docstring after comments", src: "#!x\n\n# y\n'One.'\n" + run, doc: "One."},
		{name: "no docstring", src: run + "\"\"\"Not one.\"\"\"\n"},
		{name: "bytes are no docstring", src: "b\"\"\"One.\"\"\"\n" + run},
		{name: "raw docstring", src: "r\"\"\"One \\d.\"\"\"\n" + run, doc: `One \d.`},
		{name: "escapes in the docstring", src: "\"One \\\"two\\\"\\tthree\\\\.\"\n" + run, doc: "One \"two\"\tthree\\."},
		{name: "workflow( in the docstring", src: "\"\"\"\nworkflow(command = \"no\")\n\"\"\"\n" + run + `workflow(command = "a", run = run)`, commands: []string{"a"}, doc: `workflow(command = "no")`},
		{name: "workflow( in a comment", src: run + "# x\n#workflow(command = \"no\")\nworkflow(command = \"a\", run = run) # workflow(", commands: []string{"a"}},
		{name: "quotes in a comment", src: run + "# it's \"\"\" '\nworkflow(command = \"a\", run = run)", commands: []string{"a"}},
		{name: "strings with quotes", src: run + "x = ['it\\'s', \"\\\"\\\\\", '''a'b''c\\'''', r'\\'', r\"\\\\\", b'\\'', rb'\\'']\nworkflow(command = \"a\", run = run)", commands: []string{"a"}},
		{name: "an empty string, then a string", src: run + "x = ['', \"\", '''''', 'workflow(']\nworkflow(command = \"a\", run = run)", commands: []string{"a"}},
		{name: "in a long string", src: run + "x = '''\nworkflow(command = \"no\", run = run)\n'''\nworkflow(command = \"a\", run = run)", commands: []string{"a"}},
		{name: "several", src: run + "workflow(command = \"a\", run = run)\nworkflow(command = \"b\", run = run)", commands: []string{"a", "b"}},
		{name: "on lines with comments", src: run + "workflow(  # c\n    # command = \"no\"\n    command = \"a\",  # d\n    run = run,\n)\n", commands: []string{"a"}},
		{name: "with a space", src: run + "workflow (command=\"a\",run=run,)", commands: []string{"a"}},
		{name: "command last", src: run + "workflow(run = run, flags = {\"command\": flag.bool(help = \"(\")}, command = \"a\")", commands: []string{"a"}},
		{name: "command deeper", src: run + "workflow(run = run, flags = dict(command = flag.bool(help = \"\")), command = \"a\")", commands: []string{"a"}},
		{name: "a value called command", src: "def command(args):\n    pass\n\nworkflow(run = command, command = \"a\")", commands: []string{"a"}},
		{name: "a lambda with a command", src: "workflow(run = lambda command: 1, command = \"a\")", commands: []string{"a"}},
		{name: "raw", src: run + `workflow(command = r"a", run = run)`, commands: []string{"a"}},
		{name: "escaped", src: run + `workflow(command = "a\x62", run = run)`, commands: []string{"ab"}},
		{name: "long quotes", src: run + `workflow(command = """a""", run = run)`, commands: []string{"a"}},
		{name: "CRLF", src: "\"\"\"One.\r\n\r\nTwo.\r\n\"\"\"\r\n# c\r\nworkflow(command = \"a\", run = print)\r\n", commands: []string{"a"}, doc: "One.\n\nTwo."},
		{name: "CR", src: "# c\rworkflow(command = \"a\", run = print)\r", commands: []string{"a"}},
		{name: "other words", src: run + "my_workflow = lambda command: 1\nworkflow_ = my_workflow\nmy_workflow(command = \"no\")\nworkflow_(command = \"no\")\n"},
		{name: "a word alone", src: run + "workflow\nx = dict(command = \"no\")\nworkflow(command = \"a\", run = run)", commands: []string{"a"}},
		{name: "letters", src: "größe = 1\n" + "workflow(command = \"a\", run = print)", commands: []string{"a"}},
		{name: "computed", src: run + `workflow(command = "a" + "b", run = run)`, computed: true},
		{name: "a name", src: run + "NAME = \"a\"\nworkflow(command = NAME, run = run)", computed: true},
		{name: "formatted", src: run + `workflow(command = "a %s" % "b", run = run)`, computed: true},
		{name: "in parentheses", src: run + `workflow(command = ("a"), run = run)`, computed: true},
		{name: "from a dict", src: run + `workflow(**{"command": "a", "run": run})`, computed: true},
		{name: "by a function", src: run + "def declare():\n    workflow(command = \"a\", run = run)\ndeclare()", computed: true},
		{name: "indented", src: run + `[workflow(command = "a", run = run) for x in [1]]`, computed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := scan([]byte(c.src))
			if !slices.Equal(found.commands, c.commands) || found.doc != c.doc {
				t.Errorf("found the commands %q and the docstring %q, want %q and %q", found.commands, found.doc, c.commands, c.doc)
			}
			m := newMachine(t, c.src)
			workflows, err := m.load()
			if c.computed {
				if err == nil || !strings.Contains(err.Error(), "can't be found without running the file") {
					t.Errorf("the error is %v", err)
				}
				return
			}
			m.wants(err, "")
			var declared []string
			for _, w := range workflows {
				declared = append(declared, w.Command)
			}
			if !slices.Equal(declared, c.commands) {
				t.Errorf("the file declares %q, want %q", declared, c.commands)
			}
		})
	}
}

// FuzzScan holds the scanner against Starlark's parser: in a file that parses, both
// find the same calls that begin a line, with the same literals, and the same docstring.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"\"\"\"Doc.\"\"\"\nworkflow(command = \"a\", run = f)\n", "workflow(flags = {\"x\": g(command = 1)}, command = 'b')",
		"r'\\''\nx = '''\nworkflow(command = \"c\")'''\n", "# workflow(\r\nworkflow(command = \"a\\x62\")\r", "b'x'", "workflow(command=rb'')", "x = [\nworkflow(command='q')\n]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		found := scan([]byte(src)) // must not panic, whatever it is given
		file, err := dialect().Parse("x.star", src, 0)
		// To the parser a NUL is the end. A lambda's default looks like a keyword argument.
		if err != nil || strings.ContainsRune(src, 0) || strings.Contains(src, "lambda") {
			return
		}
		var commands []string
		computed := false
		syntax.Walk(file, func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			name, ok := call.Fn.(*syntax.Ident)
			if !ok || name.Name != "workflow" || name.NamePos.Col != 1 || name.NamePos.Line != call.Lparen.Line {
				return true
			}
			literal := false
			for _, arg := range call.Args {
				named, ok := arg.(*syntax.BinaryExpr)
				if !ok || named.Op != syntax.EQ {
					continue
				}
				if key := named.X.(*syntax.Ident); key.Name != "command" {
					continue
				}
				if value, ok := named.Y.(*syntax.Literal); ok && value.Token == syntax.STRING {
					commands, literal = append(commands, value.Value.(string)), true
				}
				break
			}
			computed = computed || !literal
			return false
		})
		if nested := strings.Count(src, "workflow") > 1 && computed; nested {
			return // a computed command ends the search in that call; one within it may be found
		}
		if !slices.Equal(found.commands, commands) || found.computed != computed {
			t.Errorf("%q: scan finds %q (computed: %v), the parser %q (computed: %v)", src, found.commands, found.computed, commands, computed)
		}
		doc := ""
		if len(file.Stmts) > 0 {
			if e, ok := file.Stmts[0].(*syntax.ExprStmt); ok {
				if l, ok := e.X.(*syntax.Literal); ok && l.Token == syntax.STRING {
					doc = Dedent(l.Value.(string))
				} else {
					return // an expression that may well begin with a string
				}
			}
		}
		if found.doc != doc {
			t.Errorf("%q: scan finds the docstring %q, the parser %q", src, found.doc, doc)
		}
	})
}

// Commands of the layers: the first layer's file counts, broken ones are told of.
func TestCommands(t *testing.T) {
	layerOf := func(name string, files map[string]string) *layer.Layer {
		fsys := fstest.MapFS{}
		for name, text := range files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		return layer.Embedded(name, fsys)
	}
	declaring := func(command string) string {
		return "\"\"\"Help of " + command + ".\"\"\"\nworkflow(command = \"" + command + "\", run = print)\n"
	}
	user := layerOf("user", map[string]string{
		"slots.star":     declaring("sandbox slots") + "# the user's\n",
		"ports.star":     "# no longer a command\n",
		"also.star":      declaring("sandbox slots"),
		"hello.star":     declaring("hello"),
		"computed.star":  "workflow(command = \"a\" + \"b\", run = print)\n",
		"empty.star":     declaring(""),
		"words.star":     declaring("Bad Words"),
		"broken.star":    "workflow(command = ",
		"lib/deep.star":  declaring("deep"),
		"notes.txt":      declaring("notes"),
		"provision.star": declaring("provision"),
	})
	builtin := layerOf("kinfra", map[string]string{
		"slots.star": declaring("slots"), "ports.star": declaring("ports"), "provision.star": declaring("provision"), "greet.star": declaring("hello"),
	})
	commands, problems := Commands(&layer.Stack{Layers: []*layer.Layer{user, builtin}, Builtin: builtin})
	var got []string
	for _, c := range commands {
		got = append(got, c.Words+" | "+c.Summary()+" | "+c.File.ID())
	}
	want := []string{
		"sandbox slots | Help of sandbox slots | user//also.star",
		"hello | Help of hello | user//hello.star",
		"provision | Help of provision | user//provision.star",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the commands are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text := ""
	for _, p := range problems {
		text += p.Error() + "\n"
	}
	for _, want := range []string{
		"broken.star: ", "computed.star: ", `empty.star: command "": want words`, `words.star: command "Bad Words": "Bad" is not a word`,
		`slots.star: the command "sandbox slots" is declared by also.star, too`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the problems lack %q:\n%s", want, text)
		}
	}
	if len(problems) != 5 {
		t.Errorf("%d problems, want 5:\n%s", len(problems), text)
	}
}

// shipped is the scripts that the repository ships, as files in memory.
func shipped(tb testing.TB) *layer.Layer {
	tb.Helper()
	dir := filepath.Join("..", "scripts")
	if _, err := os.Stat(filepath.Join(dir, "slots.star")); err != nil {
		tb.Fatal(err)
	}
	return layer.Embedded("kinfra", os.DirFS(dir))
}

func BenchmarkCommands(b *testing.B) {
	l := shipped(b)
	stack := &layer.Stack{Layers: []*layer.Layer{l}, Builtin: l}
	for b.Loop() {
		if commands, problems := Commands(stack); len(commands) == 0 || len(problems) > 0 {
			b.Fatal(commands, problems)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	file, err := shipped(b).Read("provision.star")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file.Data)))
	for b.Loop() {
		scan(file.Data)
	}
}

func BenchmarkNewRun(b *testing.B) {
	m := newMachine(&testing.T{}, "")
	for b.Loop() {
		NewRun(context.Background(), &m.config).Close()
	}
}

// TestFindAgreesWithCommands: looking for one command finds what looking for all does.
func TestFindAgreesWithCommands(t *testing.T) {
	shipped := fstest.MapFS{
		"a.star":        {Data: []byte(`workflow(command = "hello", run = print)`)},
		"b.star":        {Data: []byte(`workflow(command = "hello world", run = print)`)},
		"c.star":        {Data: []byte(`x = "hello moon"`)},
		"moon.star":     {Data: []byte(`x = "hello moon"`)},
		"sun.star":      {Data: []byte(`workflow(command = "good sun", run = print)`)},
		"sun_rise.star": {Data: []byte(`workflow(command = "good sun rise", run = print)`)},
		"sun_set.star":  {Data: []byte(`workflow(command = "other", run = print)`)},
		"z.star":        {Data: []byte(`workflow(command = "good sun set", run = print)`)},
	}
	user := fstest.MapFS{"b.star": {Data: []byte(`workflow(command = "hel\x6co world", run = print)`)}}
	stack := &layer.Stack{Builtin: layer.Embedded("kinfra", shipped)}
	stack.Layers = []*layer.Layer{layer.Embedded("user", user), stack.Builtin}
	for args, want := range map[string]string{
		"hello": "hello", "hello you": "hello", "hello world": "hello world", "hello world -n": "hello world",
		"hello moon": "hello", "moon": "", "": "", "-n hello": "", "hello --x world": "hello",
		"good sun": "good sun", "good sun rise": "good sun rise", "good sun set now": "good sun set", "good": "", "good sun Rise": "good sun",
	} {
		c, ok := Find(stack, strings.Fields(args))
		if c.Words != want || ok != (want != "") {
			t.Errorf("Find(%q) = %q, %t; want %q", args, c.Words, ok, want)
		}
		all, _ := Commands(stack)
		if i := slices.IndexFunc(all, func(c Command) bool { return c.Words == want }); ok && all[i].File.ID() != c.File.ID() {
			t.Errorf("Find(%q) is that of %s, the first is that of %s", args, c.File.ID(), all[i].File.ID())
		}
	}
}

func TestLiterals(t *testing.T) {
	for src, want := range map[string][]string{
		`f(file = "a.yml")`:                             {"a.yml"},
		`f(x, file="a.yml", y = 1)`:                     {"a.yml"},
		"f(\n    file = 'a.yml',  # a comment\n)":       {"a.yml"},
		`f(file = r"a.yml", g = h(file = """b.yml"""))`: {"a.yml", "b.yml"},
		`f(file = "\x61.yml")`:                          {"a.yml"},
		`f(file = "a" + ".yml")`:                        nil,
		`f(file = "a.yml" if x else "b.yml")`:           nil,
		`f(file = "a%s" % x)`:                           nil,
		`f(file = name)`:                                nil,
		`f(file = b"a.yml")`:                            nil,
		`f(file == "a.yml")`:                            nil,
		`f(a_file = "a.yml", files = "b.yml")`:          nil,
		`f({"file": "a.yml"})`:                          nil,
		`# f(file = "a.yml")`:                           nil,
		`x = 'f(file = "a.yml")'`:                       nil,
		`f(file = "a.yml`:                               nil,
		`f(file`:                                        nil,
		``:                                              nil,
	} {
		if got := Literals(layer.File{Data: []byte(src)}, "file"); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", src, got, want)
		}
	}
}
