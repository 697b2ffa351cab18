package engine

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

// A panic is an error, after which the run is cleaned up as after any other.
func TestPanic(t *testing.T) {
	breaks := table.Module{Name: "fault", Builtins: []table.Builtin{{
		Name: "fault.panic", Run: func(*table.Call) (starlark.Value, error) { panic("out of order") },
	}}}
	for name, call := range map[string]string{"in a step": `step("b", lambda: fault.panic())`, "in a branch": `parallel([1], lambda _: fault.panic())`} {
		m := newMachine(t, body("on_exit(lambda: print(\"cleaned up\"))\nstep(\"a\", lambda: 1, undo = lambda _: print(\"taken back\"))\n"+call))
		m.config.Modules = append(m.config.Modules, breaks)
		err := m.exec()
		m.wants(err, "kinfra itself failed: out of order")
		m.wantsOut("taken back\ncleaned up\n")
		text := m.run.Report().Problem[0].Text()
		if want := "hint: this is a fault of kinfra, not of the script"; !strings.Contains(text, want) {
			t.Errorf("%s: the report lacks %q:\n%s", name, want, text)
		}
	}
}
