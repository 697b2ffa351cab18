package stack

import (
	"cmp"

	"github.com/ktrdr/kinfra/internal/world"
)

// Logs is the command that shows the stack's logs, to be run with
// [world.World.Attach]. args are flags of `docker compose logs` and services.
func (s Stack) Logs(w world.World, args ...string) world.Command {
	cmd := s.command(w, 0, append([]string{"logs"}, args...)...)
	cmd.ReadOnly = true
	return cmd
}

// Exec is the command that runs a program in a service's container, to be run with
// [world.World.Attach]. args are flags of `docker compose exec`, the service, the
// program and its arguments.
func (s Stack) Exec(w world.World, args ...string) world.Command {
	return s.command(w, 0, append([]string{"exec"}, args...)...)
}

// Shell is Exec of a shell; program is the shell, sh if empty.
func (s Stack) Shell(w world.World, service, program string) world.Command {
	return s.Exec(w, "--", service, cmp.Or(program, "sh"))
}
