package main

import (
	"io"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/visible"
)

// globals are the flags that every command takes.
type globals struct {
	root      string
	scripts   string
	dryRun    bool
	output    engine.Format
	reports   []reportTo
	timeout   time.Duration
	memory    size
	logLevel  string
	logFormat string
	color     string
	yes       bool
}

// flags declares the global flags, with their values in g.
func (g *globals) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("kinfra", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Var((*directory)(&g.root), "root", "the pool's root (before KINFRA_ROOT, before what pool.star says)")
	f.Var((*directory)(&g.scripts), "scripts", "where scripts are that go before all others")
	f.VarPF((*toggle)(&g.dryRun), "dry-run", "n", "say what would be done, and change nothing").NoOptDefVal = "true"
	f.Var(newChoice((*string)(&g.output), "text", "json", "events"), "output", "how the result is printed: text, json, or events (JSON lines)")
	f.Var((*reportList)(&g.reports), "report", "write a report of the run's steps and checks: html=FILE, json=FILE or junit=FILE")
	f.Var((*limit)(&g.timeout), "timeout", "how long the command may take, such as 90s")
	g.memory = memoryDefault
	f.Var(&g.memory, "memory", "how much memory the command may use, such as 512MiB")
	f.Var(newChoice(&g.logLevel, "warn", "off", "error", "info", "debug", "trace"), "log-level", "what is logged, to stderr: off, error, warn, info, debug or trace")
	f.Var(newChoice(&g.logFormat, "text", "json"), "log-format", "how it is logged: text or json")
	f.Var(newChoice(&g.color, "auto", "always", "never"), "color", "when to use colours: auto, always or never")
	f.VarPF((*toggle)(&g.yes), "yes", "", "answer questions with yes").NoOptDefVal = "true"
	f.VarPF(new(toggle), "help", "h", "what a command does, and its flags").NoOptDefVal = "true"
	return f
}

// reserved is the names that scripts can't give to flags.
func reserved() []string {
	var names []string
	new(globals).flags().VisitAll(func(f *pflag.Flag) {
		names = append(names, f.Name)
		if f.Shorthand != "" {
			names = append(names, f.Shorthand)
		}
	})
	return names
}

// early reads the global flags from anywhere on the command line, before it is known
// which command that is: where scripts are found depends on them. What is wrong with
// them is left to the parsing of the command.
func (g *globals) early(args []string) {
	f := g.flags()
	f.ParseErrorsAllowlist.UnknownFlags = true
	_ = f.Parse(args)
}

// wantsColor tells whether what is written to out may have escape codes.
func (g *globals) wantsColor(out *stream) bool {
	switch g.color {
	case "always":
		return true
	case "never":
		return false
	}
	return out.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// log is the logger that the flags ask for.
func (g *globals) log(out io.Writer) hclog.Logger {
	if g.logFormat == "json" {
		out = escaped{out}
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "kinfra", Level: hclog.LevelFromString(g.logLevel), Output: out, JSONFormat: g.logFormat == "json",
	})
}

// escaped takes whole texts of JSON, and escapes in them what isn't seen.
type escaped struct{ out io.Writer }

func (e escaped) Write(p []byte) (int, error) {
	if _, err := e.out.Write(visible.JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
