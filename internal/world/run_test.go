package world_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// shell is a command that runs a script in a directory, and has all the time it
// needs.
func shell(dir, script string) world.Command {
	return world.Command{
		Args:    []string{"sh", "-c", script},
		Dir:     dir,
		Env:     []string{"PATH=" + os.Getenv("PATH")},
		Timeout: time.Minute,
	}
}

func TestRunOutcome(t *testing.T) {
	tests := []struct {
		name, script, stdin string
		want                world.Output
	}{
		{"success", "echo out; echo err >&2", "", world.Output{Code: 0, Stdout: []byte("out\n"), Stderr: []byte("err\n")}},
		{"failure", "exit 3", "", world.Output{Code: 3}},
		{"signal", "kill -9 $$", "", world.Output{Code: 137}},
		{"input", "cat", "text", world.Output{Stdout: []byte("text")}},
		{"no input", "cat", "", world.Output{}},
		{"input that isn't read", "exit 0", strings.Repeat("x", 1<<20), world.Output{}},
	}
	for _, tt := range tests {
		cmd := shell(tempDir(t), tt.script)
		cmd.Stdin = []byte(tt.stdin)
		got, err := world.Real("test").Processes.Run(t.Context(), cmd)
		if err != nil || got.Code != tt.want.Code || string(got.Stdout) != string(tt.want.Stdout) || string(got.Stderr) != string(tt.want.Stderr) {
			t.Errorf("%s: got %d %q %q, %v", tt.name, got.Code, got.Stdout, got.Stderr, err)
		}
	}
}

// TestRunPlace checks the directory and the environment that a process gets.
func TestRunPlace(t *testing.T) {
	dir := tempDir(t)
	env, err := exec.LookPath("env")
	worldtest.Must(t, err)
	t.Setenv("WORLD_TEST_LEAK", "yes")
	for _, vars := range [][]string{{"A=1", "B=x y"}, nil} {
		cmd := world.Command{Args: []string{env}, Dir: dir, Env: vars, Timeout: time.Minute}
		out, err := world.Real("test").Processes.Run(t.Context(), cmd)
		worldtest.Must(t, err)
		if got := strings.Fields(strings.ReplaceAll(string(out.Stdout), "x y", "x_y")); len(got) != len(vars) {
			t.Errorf("environment %q became %q", vars, got)
		}
	}
	out, err := world.Real("test").Processes.Run(t.Context(), shell(dir, "pwd -P"))
	worldtest.Must(t, err)
	if string(out.Stdout) != dir+"\n" {
		t.Errorf("ran in %q, want %q", out.Stdout, dir)
	}
}

// TestRunLookup looks for programs where they are and where they aren't.
func TestRunLookup(t *testing.T) {
	dir := tempDir(t)
	worldtest.Must(t, os.Mkdir(dir+"/bin", 0o700))
	worldtest.Must(t, os.WriteFile(dir+"/tool", []byte("#!/bin/sh\necho here\n"), 0o700))
	worldtest.Must(t, os.WriteFile(dir+"/bin/text", []byte("#!/bin/sh\n"), 0o600))
	worldtest.Must(t, os.Mkdir(dir+"/bin/tool", 0o700))
	t.Setenv("PATH", dir) // this process's, which doesn't count
	t.Chdir(dir)          // nor does this
	tests := []struct {
		program, path string
		want          []error
	}{
		{"tool", "PATH=" + dir + "/bin:" + dir, nil},
		{dir + "/tool", "PATH=", nil},
		{"./tool", "PATH=", nil},
		{"tool", "PATH=", []error{exec.ErrNotFound}},
		{"tool", "PATH=.::bin/..", []error{exec.ErrNotFound}},
		{"tool", "OTHER=" + dir, []error{exec.ErrNotFound}},
		{"text", "PATH=" + dir + "/bin", []error{exec.ErrNotFound, fs.ErrPermission}},
		{"missing", "PATH=" + dir, []error{exec.ErrNotFound}},
		{dir + "/missing", "PATH=", []error{exec.ErrNotFound, fs.ErrNotExist}},
		{dir + "/bin", "PATH=", []error{fs.ErrPermission}},
	}
	for _, tt := range tests {
		cmd := world.Command{Args: []string{tt.program}, Dir: dir, Env: []string{tt.path}, Timeout: time.Minute}
		out, err := world.Real("test").Processes.Run(t.Context(), cmd)
		if tt.want == nil && (err != nil || string(out.Stdout) != "here\n") {
			t.Errorf("%s with %s: got %q, %v", tt.program, tt.path, out.Stdout, err)
		}
		for _, want := range tt.want {
			worldtest.WantErr(t, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), tt.program) {
			t.Errorf("%q doesn't name the program %s", err, tt.program)
		}
	}
}

// TestRunRefuses gives commands that can't be run, in every world.
func TestRunRefuses(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		good := shell(s.dir, "exit 0")
		good.ReadOnly = true
		for name, spoil := range map[string]func(*world.Command){
			"no program":   func(c *world.Command) { c.Args = nil },
			"empty name":   func(c *world.Command) { c.Args = []string{""} },
			"no directory": func(c *world.Command) { c.Dir = "" },
			"relative":     func(c *world.Command) { c.Dir = "x" },
			"no timeout":   func(c *world.Command) { c.Timeout = 0 },
			"bad limit":    func(c *world.Command) { c.Limit = -1 },
		} {
			bad := good
			spoil(&bad)
			if _, err := s.world.Processes.Run(t.Context(), bad); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.world.Processes.Run(ctx, good)
		worldtest.WantErr(t, err, context.Canceled)
	})
}

func TestRunWithoutDirectory(t *testing.T) {
	dir := tempDir(t) + "/missing"
	_, err := world.Real("test").Processes.Run(t.Context(), shell(dir, "exit 0"))
	worldtest.WantErr(t, err, fs.ErrNotExist)
	if errors.Is(err, exec.ErrNotFound) || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("%q blames the program", err)
	}
}

func TestRunTimeout(t *testing.T) {
	cmd := shell(tempDir(t), "sleep 60")
	cmd.Timeout = time.Millisecond
	_, err := world.Real("test").Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrTimeout)
}

func TestRunLimit(t *testing.T) {
	cmd := shell(tempDir(t), "echo 1234567; exit 4")
	cmd.Limit = 8
	out, err := world.Real("test").Processes.Run(t.Context(), cmd)
	if err != nil || out.Code != 4 {
		t.Errorf("output at the limit: code %d, %v", out.Code, err)
	}
	for _, script := range []string{"echo 12345678", "echo 12345678 >&2", "while :; do echo 1; done"} {
		cmd.Args[2] = script
		out, err := world.Real("test").Processes.Run(t.Context(), cmd)
		worldtest.WantErr(t, err, world.ErrTooLarge)
		if len(out.Stdout) > 8 || len(out.Stderr) > 8 {
			t.Errorf("%s: kept %d and %d bytes", script, len(out.Stdout), len(out.Stderr))
		}
	}
}

// TestRunEndsTheGroup cancels processes that each leave one in the background.
// That one holds a pipe open, whose end shows its own.
func TestRunEndsTheGroup(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"meek", "sleep 60 & echo > ready; wait", ""},
		{"says goodbye", "trap 'echo bye; exit 0' TERM; sleep 60 & echo > ready; wait", "bye\n"},
		{"stubborn child", "sh -c 'trap \"\" TERM; echo > ready; while :; do sleep 60; done' & wait", ""},
		{"stubborn", "trap '' TERM; echo > ready; while :; do sleep 60; done", ""},
		{"stopped", "trap 'echo bye; exit 0' TERM; echo > ready; kill -STOP $$; wait", "bye\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			ready, alive := fifo(t, dir+"/ready"), fifo(t, dir+"/alive")
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-ready
				cancel()
			}()
			out, err := world.Real("test").Processes.Run(ctx, shell(dir, "exec 3> alive; "+tt.script))
			worldtest.WantErr(t, err, context.Canceled)
			if string(out.Stdout) != tt.want {
				t.Errorf("printed %q, want %q", out.Stdout, tt.want)
			}
			<-alive
		})
	}
}

// fifo makes a named pipe. The channel is closed when it was opened for writing
// and closed by all who had.
func fifo(t *testing.T, path string) <-chan struct{} {
	worldtest.Must(t, syscall.Mkfifo(path, 0o600))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		file, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		io.Copy(io.Discard, file)
	}()
	return ended
}

// TestRunLeavesTheBackgroundAlone starts a process that goes on, with the pipe of
// its output in its hand.
func TestRunLeavesTheBackgroundAlone(t *testing.T) {
	out, err := world.Real("test").Processes.Run(t.Context(), shell(tempDir(t), "sleep 60 & echo $!; exit 5"))
	worldtest.Must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(out.Stdout)))
	if out.Code != 5 || err != nil {
		t.Fatalf("code %d, output %q", out.Code, out.Stdout)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the process in the background is gone: %v", err)
	}
}

// TestRunPlanned starts in a dry run what changes nothing, and only that.
func TestRunPlanned(t *testing.T) {
	dir := tempDir(t)
	w := world.Planned(world.Real("test"))
	cmd := shell(dir, "echo x > file; echo done")
	_, err := w.Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrPlanned)
	if _, err := os.Lstat(filepath.Join(dir, "file")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a dry run ran a command that changes something")
	}
	cmd = shell(dir, "echo done")
	cmd.ReadOnly = true
	out, err := w.Processes.Run(t.Context(), cmd)
	if err != nil || string(out.Stdout) != "done\n" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
	cmd.Dir = dir + "/new"
	_, err = w.Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, fs.ErrNotExist)
	worldtest.Must(t, w.Disk.Host().Mkdir(cmd.Dir, 0o700))
	_, err = w.Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrPlanned)
}

// TestFullFileLeavesNothing runs against a limit of the system in the middle of
// writing a file.
func TestFullFileLeavesNothing(t *testing.T) {
	path := filepath.Join(tempDir(t), "file")
	worldtest.Must(t, helper(t, "fulldisk", path).Run())
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
}
