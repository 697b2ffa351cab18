package world_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestAttach sees that the process has the streams, the group and the exit code
// that it should have.
func TestAttach(t *testing.T) {
	cmd := helper(t, "attach", tempDir(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdin = strings.NewReader("in\n")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 7 || stderr.String() != "err\n" {
		t.Errorf("ended with %v, stderr %q", err, stderr.String())
	}
	if want := fmt.Sprintf("in %d\n", cmd.Process.Pid); stdout.String() != want {
		t.Errorf("printed %q, want %q: its input and its group", stdout.String(), want)
	}
}

// attachShell attaches a process that reads a line, prints it with the process's
// group, and fails.
func attachShell(dir string, _ ...string) error {
	cmd := shell(dir, `read line; echo "$line" $(ps -o pgid= -p $$); echo err >&2; exit 7`)
	cmd.Timeout = 0
	code, err := world.Real("test").Processes.Attach(context.Background(), cmd)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func TestAttachFails(t *testing.T) {
	w := world.Real("test")
	cmd := shell(tempDir(t), "exit 0")
	cmd.Args[0] = "there-is-no-such-program"
	_, err := w.Processes.Attach(t.Context(), cmd)
	worldtest.WantErr(t, err, exec.ErrNotFound)
	_, err = w.Processes.Attach(t.Context(), world.Command{Args: []string{"sh"}, Dir: "relative"})
	if err == nil {
		t.Error("a relative working directory is no error")
	}
}

// TestAttachEnds cancels a process that would go on for ever.
func TestAttachEnds(t *testing.T) {
	dir := tempDir(t)
	ready := fifo(t, dir+"/ready")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-ready
		cancel()
	}()
	code, err := world.Real("test").Processes.Attach(ctx, shell(dir, "echo > ready; exec sleep 60"))
	worldtest.WantErr(t, err, context.Canceled)
	if want := 128 + int(syscall.SIGTERM); code != want {
		t.Errorf("ended with code %d, want %d", code, want)
	}
}

func TestAttachPlanned(t *testing.T) {
	cmd := shell("/home/user", "exit 3")
	fake := world.NewFake()
	fake.Handle = func(context.Context, world.Command) (world.Output, error) { return world.Output{Code: 3}, nil }
	w := world.Planned(fake.World())
	_, err := w.Processes.Attach(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrPlanned)
	cmd.ReadOnly, cmd.Timeout = true, 0
	code, err := w.Processes.Attach(t.Context(), cmd)
	if code != 3 || err != nil || len(fake.Commands()) != 1 {
		t.Errorf("got %d, %v after %d commands", code, err, len(fake.Commands()))
	}
}
