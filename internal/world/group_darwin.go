package world

import "syscall"

// ownGroup gives a process a group of its own. The system has no way to end it when this
// process is killed.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
