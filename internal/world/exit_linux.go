package world

import (
	"os"

	"golang.org/x/sys/unix"
)

// awaitExit returns once a child process has exited, or at once where the system can't
// tell. It waits as for a network connection: waiting by the system call that collects
// the process keeps one of Go's processors, for up to 10 ms, from whatever else could run.
func awaitExit(pid int) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	conn.Read(func(fd uintptr) bool {
		exited, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return exited > 0 || err != nil && err != unix.EINTR
	})
}
