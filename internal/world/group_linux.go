package world

import "syscall"

// ownGroup gives a process a group of its own, and has the system end it when this
// process is killed: what was started then doesn't run beside what starts it again. That
// goes for the process itself; what it has started may outlive it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
