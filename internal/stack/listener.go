package stack

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// socketLimit is the most bytes of the system's table of sockets.
const socketLimit = 64 << 20

// process is one that has a port, as far as the system tells.
type process struct{ name, pid, user string }

// String is "python3 (pid 4711)", "a process of user 0", or nothing.
func (p process) String() string {
	switch {
	case p.name != "":
		return fmt.Sprintf("%s (pid %s)", p.name, p.pid)
	case p.user != "":
		return "a process of user " + p.user
	}
	return ""
}

// ofEngine tells whether the process may be one that holds ports for an Engine: Docker's
// docker-proxy, or rootlesskit where the Engine has no rights of its own.
func (p process) ofEngine() bool {
	return p.name == "" || p.name == "docker-proxy" || strings.HasPrefix(p.name, "rootlesskit")
}

// listener finds the process that listens at a port. Linux tells it in /proc; elsewhere,
// and for processes of others, as much as is known, and be it nothing.
func listener(files world.Files, protocol string, port int) process {
	sockets := map[string]bool{} // as the links in /proc/PID/fd name them
	user := ""
	for _, table := range []string{protocol, protocol + "6"} {
		data, err := files.ReadFile("/proc/net/"+table, socketLimit)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if inode, owner, ok := listeningSocket(line, protocol, port); ok {
				sockets["socket:["+inode+"]"] = true
				user = owner
			}
		}
	}
	if len(sockets) == 0 {
		return process{}
	}
	if p := holder(files, sockets); p.name != "" {
		return p
	}
	return process{user: user}
}

// listeningSocket reads a line of /proc/net/tcp or udp, whose columns proc(5)
// describes: the local address in hexadecimal is the second, the state the fourth,
// the user's number the eighth, the socket's number the tenth.
func listeningSocket(line, protocol string, port int) (inode, user string, ok bool) {
	columns := strings.Fields(line)
	if len(columns) < 10 {
		return "", "", false
	}
	const listening = "0A"
	_, local, _ := strings.Cut(columns[1], ":")
	number, err := strconv.ParseUint(local, 16, 16)
	if err != nil || int(number) != port || protocol == "tcp" && columns[3] != listening {
		return "", "", false
	}
	return columns[9], columns[7], true
}

// holder finds the process that has one of the sockets open.
func holder(files world.Files, sockets map[string]bool) process {
	processes, err := files.ReadDir("/proc")
	if err != nil {
		return process{}
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name); err != nil {
			continue
		}
		dir := path.Join("/proc", p.Name, "fd")
		open, err := files.ReadDir(dir)
		if err != nil {
			continue // of another user, or gone
		}
		for _, fd := range open {
			target, err := files.ReadLink(path.Join(dir, fd.Name))
			if err != nil || !sockets[target] {
				continue
			}
			name, _ := files.ReadFile(path.Join("/proc", p.Name, "comm"), 1<<10)
			return process{name: strings.TrimSpace(string(name)), pid: p.Name}
		}
	}
	return process{}
}
