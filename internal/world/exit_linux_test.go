package world

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that was waited for has exited, and is still there to be collected.
func TestAwaitExit(t *testing.T) {
	self, err := unix.PidfdOpen(unix.Getpid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		if os.Getenv("KINFRA_DEMAND_PIDFD") == "1" {
			t.Fatalf("the system can't tell of a process that it has exited, though KINFRA_DEMAND_PIDFD is 1: %v", err)
		}
		t.Skipf("the system can't tell of a process that it has exited: %v", err)
	}
	unix.Close(self)
	for _, script := range []string{"sleep 0.1; exit 3", "exit 3"} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitExit(cmd.Process.Pid)
		var exited unix.Siginfo // stays empty of a process that runs
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &exited, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || exited.Signo != int32(unix.SIGCHLD) {
			t.Errorf("%s: after it was waited for, it has not exited (%v)", script, err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
			t.Errorf("%s: %v, want exit code 3", script, err)
		}
	}
}
