// Command resident runs a program and then prints, as the last line on stderr, the most
// memory that it or a child of it had resident, in bytes.
//
// It stands between bench and what bench measures because Linux counts a process'
// memory from the fork: of a child of a large process, as bench grows to be, it would
// tell that one's. This one is smaller than any program whose memory matters.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // getrusage(2): bytes there, KiB elsewhere
		peak <<= 10
	}
	fmt.Fprintln(os.Stderr, peak)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(1)
	}
}
