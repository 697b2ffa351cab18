package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestWorkflowRefused(t *testing.T) {
	for _, c := range []struct{ call, want string }{
		{`command = "a b", run = run`, ""},
		{`run = run`, `workflow wants "command"`},
		{`command = "x"`, `workflow wants "run"`},
		{`command = 1, run = run`, `workflow: "command" wants a string, got the int 1`},
		{`command = "", run = run`, `command "": want words with one space between them`},
		{`command = " a", run = run`, "want words with one space between them"},
		{`command = "a  b", run = run`, "want words with one space between them"},
		{`command = "a" + 8 * " a", run = run`, `command "a a a a a a a a a"…: want at most 8 words of together 200 characters`},
		{`command = 201 * "a", run = run`, "want at most 8 words of together 200 characters"},
		{`command = "a\nb", run = run`, "want words with one space between them"},
		{`command = "Hello", run = run`, `"Hello" is not a word of lower-case letters, digits and inner dashes`},
		{`command = "-x", run = run`, `"-x" is not a word`},
		{`command = "x-", run = run`, `"x-" is not a word`},
		{`command = "9x", run = run`, `"9x" is not a word`},
		{`command = "x;y", run = run`, `"x;y" is not a word`},
		{`command = "x", run = "run"`, `workflow: "run" wants a function, got the string "run"`},
		{`command = "x", run = lambda: 1`, "run wants a function of one parameter, the arguments; lambda has 0"},
		{`command = "x", run = lambda a, b: 1`, "lambda has 2"},
		{`command = "x", run = print`, ""},
		{`command = "x", run = lambda *a: 1`, ""},
		{`command = "x", run = lambda a, b = 1: 1`, ""},
		{`command = "x", run = lambda a, *, b: 1`, "run wants a function of one parameter, the arguments; lambda has 2"},
		{`command = "x", run = run, show = lambda: 1`, "show wants a function of one parameter, the result; lambda has 0"},
		{`command = "x", run = run, show = lambda a, b: 1`, "show wants a function of one parameter, the result; lambda has 2"},
		{`command = "x", run = run, show = lambda a, b = 1: 1`, ""},
		{`command = "x", run = run, show = print`, ""},
		{`command = "x", run = run, show = 1`, `workflow: "show" wants a function, got the int 1`},
		{`command = "x", run = run, show = None, flags = None, args = None`, ""},
		{`command = "x", run = run, flag = {}`, `workflow has no parameter "flag" (did you mean "flags"?)`},
		{`command = "x", run = run, flags = []`, `workflow: "flags" wants a dict, got a list: []`},
		{`command = "x", run = run, flags = {"a": 1}`, `flags wants names with flags, such as "slot": flag.ints(…); got "a": the int 1`},
		{`command = "x", run = run, flags = {1: flag.bool(help = "")}`, `flags wants names with flags`},
		{`command = "x", run = run, flags = {"a": arg.int("a")}`, `flags wants names with flags`},
		{`command = "x", run = run, flags = {"": flag.bool(help = "")}`, `"" is not a name for a flag`},
		{`command = "x", run = run, flags = {"A": flag.bool(help = "")}`, `"A" is not a name for a flag`},
		{`command = "x", run = run, flags = {"-a": flag.bool(help = "")}`, `"-a" is not a name for a flag`},
		{`command = "x", run = run, flags = {"a=b": flag.bool(help = "")}`, `"a=b" is not a name for a flag`},
		{`command = "x", run = run, flags = {"help": flag.bool(help = "")}`, `the flag name "help" is one of the binary's own`},
		{`command = "x", run = run, flags = {"dry_run": flag.bool(help = "")}`, `the flag name "dry-run" is one of the binary's own`},
		{`command = "x", run = run, flags = {"no": flag.bool(help = "", short = "n")}`, `the flag name "n" is one of the binary's own`},
		{`command = "x", run = run, flags = {"a": flag.bool(help = "", short = "x"), "b": flag.int(help = "", short = "x")}`, `the flag name "x" is used twice`},
		{`command = "x", run = run, flags = {"a_b": flag.bool(help = ""), "a-b": flag.bool(help = "")}`, `the flags "a_b" and "a-b" are the same name, which is args.a_b for run`},
		{`command = "x", run = run, flags = {"a": flag.bool(help = "", short = "b"), "b": flag.bool(help = "")}`, `the flag name "b" is used twice`},
		{`command = "x", run = run, flags = {"a": flag.bool()}`, `flag.bool wants "help"`},
		{`command = "x", run = run, flags = {"a": flag.bool("h")}`, `flag.bool takes its arguments by name`},
		{`command = "x", run = run, flags = {"a": flag.bool(help = "", short = "xy")}`, `flag.bool: short is "xy", want one lower-case letter`},
		{`command = "x", run = run, flags = {"a": flag.bool(help = "", short = "X")}`, `short is "X", want one lower-case letter`},
		{`command = "x", run = run, flags = {"a": flag.bool(help = "", default = True)}`, `flag.bool has no parameter "default"`},
		{`command = "x", run = run, flags = {"a": flag.int(help = "", default = "1")}`, `flag.int: "default" wants an int, got the string "1"`},
		{`command = "x", run = run, flags = {"a": flag.string(help = "", default = "c", choices = ["a", "b"])}`, `flag.string: default is "c": want one of a, b`},
		{`command = "x", run = run, flags = {"a": flag.duration(help = "", default = "soon")}`, `flag.duration: "default" wants a duration such as "200ms", got the string "soon"`},
		{`command = "x", run = run, args = [1]`, `workflow: "args" wants a list of arguments (arg.…)`},
		{`command = "x", run = run, args = [flag.bool(help = "")]`, "args wants arguments (arg.…), got a flag"},
		{`command = "x", run = run, args = [arg.int("a b")]`, `"a b" is not a name for an argument`},
		{`command = "x", run = run, args = [arg.int("a"), arg.int("a")]`, `the name "a" is used twice`},
		{`command = "x", run = run, args = [arg.int("a_b")], flags = {"a-b": flag.bool(help = "")}`, `the flag "a-b" and the argument "a_b" are the same name, which is args.a_b for run`},
		{`command = "x", run = run, args = [arg.int("a_b"), arg.int("a-b")]`, `the arguments "a_b" and "a-b" are the same name, which is args.a_b for run`},
		{`command = "x", run = run, args = [arg.int("a", optional = True), arg.int("b")]`, `the required argument "b" stands after an optional one`},
		{`command = "x", run = run, args = [arg.int("a", optional = True), arg.rest("b")]`, ""},
		{`command = "x", run = run, args = [arg.rest("a"), arg.int("b")]`, `the argument "b" stands after "a", which takes all that is left`},
		{`command = "x", run = run, args = [arg.rest("a", optional = True)]`, `arg.rest has no parameter "optional"`},
		{"command = \"x\", run = run)\nworkflow(command = \"x\", run = run", `the command "x" is declared twice`},
		{"command = \"x\", run = run)\nworkflow(command = \"y\", run = run", ""},
	} {
		m := newMachine(t, "def run(args):\n    pass\n\nworkflow("+c.call+")\n")
		_, err := m.load()
		m.wants(err, c.want)
		if code := m.config.CodeOf(err); err != nil && code != Usage {
			t.Errorf("%s: ends with %s, want usage", c.call, code)
		}
	}
}

// A declaration counts only in the file that is run.
func TestWorkflowCountsInTheFileThatIsRun(t *testing.T) {
	library := "def run(args):\n    probe.evaluate(\"later.star\")\n    print(\"library\")\n\nworkflow(command = \"library\", run = run)\n"
	m := newMachine(t, "load(\"library.star\", \"run\")\nworkflow(command = \"main\", run = run)\n",
		"library.star: "+library, "later.star: workflow(command = \"later\", run = print)\n")
	if err := m.exec(); err != nil {
		t.Fatal(err)
	}
	m.wantsOut("library\n")
	if n := len(m.run.loader.workflows); n != 1 {
		t.Errorf("%d workflows count, want that of main.star alone", n)
	}
}

func TestWorkflowHelp(t *testing.T) {
	m := newMachine(t, "# a comment\n\"\"\"Do \\\"one\\\" thing.\n\n    And more,\n      indented.\n    \"\"\"\n"+body("pass"))
	workflows, err := m.load()
	if err != nil {
		t.Fatal(err)
	}
	w := workflows[0]
	if want := `Do "one" thing`; w.Summary() != want {
		t.Errorf("the summary is %q, want %q", w.Summary(), want)
	}
	if want := "Do \"one\" thing.\n\nAnd more,\n  indented."; w.Help != want {
		t.Errorf("the help is %q, want %q", w.Help, want)
	}
}

func TestCommandLine(t *testing.T) {
	const declaration = `
def run(args):
    print(args)
    print(type(args.d))

workflow(
    command = "test",
    run = run,
    flags = {
        "b": flag.bool(help = "A switch.", short = "s"),
        "count": flag.int(help = "A number.", default = 3, short = "c"),
        "d": flag.duration(help = "A time.", default = "1m"),
        "least_profile": flag.string(help = "A word.", choices = ["light", "heavy"]),
        "slot": flag.ints(help = "Numbers."),
        "w": flag.strings(help = "Words.", choices = ["a", "b"]),
    },
    args = [ARGS],
)
`
	const none = `b = False, count = 3, d = 1m0s, least_profile = None, slot = [], w = []`
	for _, c := range []struct{ args, words, want, err string }{
		{"", "", "struct(" + none + ")", ""},
		{"", "-s --count=7 --d 90s --least-profile heavy --slot 1,2 --slot=3 --w b,a,b",
			`struct(b = True, count = 7, d = 1m30s, least_profile = "heavy", slot = [1, 2, 3], w = ["b", "a", "b"])`, ""},
		{"", "-sc9", `struct(b = True, count = 9, d = 1m0s, least_profile = None, slot = [], w = [])`, ""},
		{"", "--b=false --count -5", `struct(b = False, count = -5, d = 1m0s, least_profile = None, slot = [], w = [])`, ""},
		{"", "--count 1 --count 2", `struct(b = False, count = 2, d = 1m0s, least_profile = None, slot = [], w = [])`, ""},
		{"", "--b=yes", "", `invalid argument "yes" for "-s, --b" flag: want true or false`},
		{"", "--count x", "", `invalid argument "x" for "-c, --count" flag: want a whole number`},
		{"", "--count 1.5", "", "want a whole number"},
		{"", "--count 99999999999", "", "want a whole number"},
		{"", "--count=", "", "want a whole number"},
		{"", "--count", "", "flag needs an argument: --count"},
		{"", "--d 90", "", `want a duration such as "90s" or "1h30m"`},
		{"", "--d -1s", "", `want a duration`},
		{"", "--least-profile heavi", "", `want one of light, heavy (did you mean "heavy"?)`},
		{"", "--slot 1,,2", "", "want a whole number"},
		{"", "--slot 1,x", "", "want a whole number"},
		{"", "--w a,c", "", "want one of a, b"},
		{"", "--nope", "", "unknown flag: --nope"},
		{"", "--least_profile heavy", "", "unknown flag"},
		{"", "surplus", "", `test: unexpected argument "surplus"`},
		{`arg.int("n")`, "4", "struct(b = False, count = 3, d = 1m0s, least_profile = None, n = 4, slot = [], w = [])", ""},
		{`arg.int("n")`, "4 -s", "struct(b = True, count = 3, d = 1m0s, least_profile = None, n = 4, slot = [], w = [])", ""},
		{`arg.int("n")`, "-- -4", "struct(b = False, count = 3, d = 1m0s, least_profile = None, n = -4, slot = [], w = [])", ""},
		{`arg.int("n", help = "the number")`, "", "", "the argument N is missing: the number"},
		{`arg.int("n")`, "x", "", `the argument N is "x": want a whole number`},
		{`arg.int("n")`, "1 2", "", `unexpected argument "2"`},
		{`arg.int("n", optional = True)`, "", "struct(b = False, count = 3, d = 1m0s, least_profile = None, n = None, slot = [], w = [])", ""},
		{`arg.string("n", choices = ["up", "down"])`, "dwon", "", `the argument N is "dwon": want one of up, down (did you mean "down"?)`},
		{`arg.rest("n")`, "-s x --count=1 -- -y", `struct(b = True, count = 3, d = 1m0s, least_profile = None, n = ["x", "--count=1", "--", "-y"], slot = [], w = [])`, ""},
		{`arg.rest("n")`, "", `struct(b = False, count = 3, d = 1m0s, least_profile = None, n = [], slot = [], w = [])`, ""},
		{`arg.rest("n")`, "-- -s", `struct(b = False, count = 3, d = 1m0s, least_profile = None, n = ["-s"], slot = [], w = [])`, ""},
	} {
		t.Run(c.args+" "+c.words, func(t *testing.T) {
			m := newMachine(t, strings.Replace(declaration, "ARGS", c.args, 1))
			err := m.exec(strings.Fields(c.words)...)
			m.wants(err, c.err)
			if c.err == "" {
				m.wantsOut(c.want + "\ntime.duration\n")
			}
		})
	}
}

// What a workflow gets is frozen, its defaults included: another run of the same
// declaration must see them as they were.
func TestArgumentsAreFrozen(t *testing.T) {
	m := newMachine(t, `
def run(args):
    args.slot.append(1)
workflow(command = "test", run = run, flags = {"slot": flag.ints(help = "")})`)
	m.wants(m.exec(), "cannot append to frozen list")
	m.wants(m.exec("--slot", "2"), "cannot append to frozen list")
}

// The help shows types, defaults and choices as pflag has them.
func TestFlagUsage(t *testing.T) {
	m := newMachine(t, `
workflow(command = "test", run = print, flags = {
    "b": flag.bool(help = "A switch.", short = "s"),
    "d": flag.duration(help = "A time.", default = "90s"),
    "p": flag.string(help = "A word.", choices = ["light", "heavy"], default = "light"),
    "slot": flag.ints(help = "Numbers."),
})`)
	workflows, err := m.load()
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	workflows[0].AddFlags(flags)
	want := []string{
		"-s, --b A switch.", "--d duration A time. (default 1m30s)",
		"--p string A word. (light, heavy) (default \"light\")", "--slot ints Numbers.",
	}
	var got []string
	for line := range strings.Lines(flags.FlagUsages()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the usage is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
