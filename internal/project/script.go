package project

import (
	"fmt"
	"strconv"
	"strings"
)

// script is the text of pool.star. It is the same before and after the compose file was
// changed, so that doing it again changes nothing.
func (r *reading) script() []byte {
	p := r.plan
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line(`"""The pool of %s: each slot is a running copy of what %s describes.`, p.Name, p.File)
	line("")
	line("kinfra init wrote this file; from here on it is yours to change. kinfra sandbox")
	line("provision makes the slots, and with --refresh brings them into line with a change.")
	line(`"""`)
	line("")
	line("PROFILES = [profile(%q)]  # what slots may run, lightest first; a claim can ask for one", profileName)
	line("")
	line("SLOTS = {number: %q for number in range(1, %d)}", profileName, p.Slots+1)
	line("")
	line("PORTS = {  # slot N listens on base + N * step; slot 0 is the project without kinfra")
	for _, port := range p.Ports {
		step := ""
		if port.Step != 1 {
			step = fmt.Sprintf(", step = %d", port.Step)
		}
		line("    %s: port(base = %d%s),  # %s", text(port.Name), port.Base, step, port.origin())
	}
	line("}")
	line("")
	line("VARIABLES = {  # by which %s takes each port", p.File)
	for _, port := range p.Ports {
		line("    %s: %s,", text(port.Name), text(port.Variable))
	}
	line("}")
	line("")
	r.writeEnvironment(line)
	line("")
	r.writePool(line)
	return []byte(b.String())
}

// profileName is that of the one profile of a new pool.
const profileName = "default"

// origin says where a port is from, for a comment.
func (p *Port) origin() string {
	if p.Default == 0 {
		return fmt.Sprintf("%s, container port %d; on a port that Docker chooses without kinfra", p.Service, p.Target)
	}
	return fmt.Sprintf("%s, container port %d; on %d without kinfra", p.Service, p.Target, p.Default)
}

func (r *reading) writeEnvironment(line func(string, ...any)) {
	line("def environment(slot):")
	line(`    """Gives the variables of a slot, for its env file.`)
	line("")
	line("    Args:")
	line("      slot: the slot's id, profile, workers, ports, project, dir and root.")
	line("")
	line("    Returns:")
	line("      A dict of names and values.")
	line(`    """`)
	line("    env = {")
	line(`        "SLOT_ID": slot.id,`)
	line(`        "COMPOSE_PROJECT_NAME": slot.project,`)
	line(`        "%s": %s,  # of the compose file, separated by commas: services that only run on demand`, profiles, text(r.plan.Profiles))
	for _, n := range r.names {
		line(`        %s: slot.project + %s,`, text(n.variable), text("_"+n.key))
	}
	line("    }")
	line("    for name, number in slot.ports.items():")
	line("        env[VARIABLES[name]] = number")
	line("    return env")
}

func (r *reading) writePool(line func(string, ...any)) {
	p := r.plan
	line("pool = slot.pool(")
	line("    name = %s,", text(p.Name))
	line("    root = %s,  # where the slots and their registry are kept", text(p.Root))
	line("    project = %s,  # the Compose project of slot N", text(p.Project))
	line("    profiles = PROFILES,")
	line("    slots = SLOTS,")
	line("    ports = PORTS,")
	line("    main_port = %s,  # the one that lists show", text(p.MainPort))
	line("    environment = environment,")
	line("    template_file = %s,  # beside .kinfra/", text(p.File))
	line("    project_directory = %s,  # in the worktree that holds a slot: where relative paths lead", text(p.ProjectDir))
	if len(p.PassEnv) > 0 {
		line("    pass_env = [  # what your shell sets of these reaches the stack")
		for _, name := range p.PassEnv {
			line("        %s,", text(name))
		}
		line("    ],")
	}
	line(")")
}

// text is a string of Starlark. Names and paths are printable but for rare exceptions,
// for which Go and Starlark have the same escapes.
func text(s string) string { return strconv.Quote(s) }
