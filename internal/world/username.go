package world

import (
	"strconv"
	"strings"
)

// UserName is the effective user's name: that of the system's list of users, or else what
// the environment says, or else the number.
func UserName(w World) string {
	number := strconv.Itoa(w.Env.UserID())
	list, _ := w.Disk.Host().ReadFile("/etc/passwd", 1<<20) // passwd(5): name:password:number:…
	for line := range strings.Lines(string(list)) {
		if fields := strings.SplitN(line, ":", 4); len(fields) == 4 && fields[2] == number && fields[0] != "" {
			return fields[0]
		}
	}
	for _, variable := range []string{"USER", "LOGNAME"} {
		if name, _ := w.Env.Getenv(variable); name != "" {
			return name
		}
	}
	return number
}
