package world

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup gives a process a group of its own, and has the system end it when this
// process is killed: what was started then doesn't run beside what starts it again. That
// goes for the process itself; what it has started may outlive it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// adoptOrphans makes this process the parent of what its children leave behind when they
// end, from now on. Else process 1 would be, and when that takes note of their end, nobody
// knows. It stays so: other groups may be ending at the same time. An orphan that is in none of
// them, such as a daemon that has begun a session, is taken note of when this process has ended,
// by process 1.
func adoptOrphans() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it, that takes longer
}

// reapGroup takes note of the end of adopted processes of a group. Its first process must
// have been waited for.
func reapGroup(pgid int) {
	for {
		pid, err := unix.Wait4(-pgid, nil, unix.WNOHANG, nil)
		if pid <= 0 && err != unix.EINTR {
			return
		}
	}
}
