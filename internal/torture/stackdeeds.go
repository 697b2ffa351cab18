package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What is done with the stack of a slot. Each is a command of the program.
const (
	deedClaim   = "claim"
	deedClaimUp = "claim --up"
	deedLease   = "claim --up --ttl 1s"
	deedUp      = "up"
	deedDown    = "down"
	deedRestart = "restart"
	deedRelease = "release"
	deedReap    = "reap"

	deedLater = "later" // is no command: the lease runs out
)

// leaseTime is that of deedLease, and a little more.
const leaseTime = 1100 * time.Millisecond

// process is how one process of the program came to its end.
type process struct {
	killed bool
	events []string // what it was about to do, each "OPERATION NAME"; it was killed before the last

	inside bool // it was killed when it had done a part of what it is to do
}

// do has a process do a deed, and kills it at an event; 0 is none.
func (y yard) do(ctx context.Context, deed string, killAt int) (process, error) {
	if deed == deedLater {
		time.Sleep(leaseTime)
		return process{}, ctx.Err()
	}
	return y.run(ctx, killAt, append([]string{"sandbox"}, strings.Fields(deed)...)...)
}

// again has a process go on with a deed that was killed: it resumes the run, if there is a
// record of one that has not come to its end, or does the deed again.
func (y yard) again(ctx context.Context, deed string, killAt int) (p process, resumed bool, err error) {
	id, err := y.unfinished()
	if err != nil || id == "" || deed != deedClaimUp {
		p, err := y.do(ctx, deed, killAt)
		return p, false, err
	}
	p, err = y.run(ctx, killAt, "resume", id)
	return p, true, err
}

// run runs the program, which writes down its events and kills itself at one.
func (y yard) run(ctx context.Context, killAt int, args ...string) (process, error) {
	log, err := os.CreateTemp(y.dir, "events-")
	if err != nil {
		return process{}, err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	cmd := programIn(ctx, y.stacks.program, y.dir, args...)
	cmd.Dir = y.tree(0)
	cmd.Env = append(append(cmd.Env, engineEnv()...), "KINFRA_TORTURE_EVENTS="+log.Name(), fmt.Sprint("KINFRA_TORTURE_KILL_AT=", killAt))
	cmd.Env = append(cmd.Env, y.stacks.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	runErr := cmd.Run()
	data, err := os.ReadFile(log.Name())
	if err != nil {
		return process{}, err
	}
	p := process{events: strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")}
	if runErr != nil && killAt > 0 && wasKilled(cmd) && ctx.Err() == nil {
		p.killed, p.inside = true, y.hasChanged(p.events[:len(p.events)-1])
		return p, nil
	}
	if runErr != nil {
		return p, &programError{args, cmd, out.String()}
	}
	return p, nil
}

// programError says that the program has ended with an error.
type programError struct {
	args []string
	cmd  *exec.Cmd
	out  string
}

func (e *programError) Error() string {
	return fmt.Sprintf("kinfra %s ended with code %d: %s", strings.Join(e.args, " "), e.cmd.ProcessState.ExitCode(), e.out)
}

// hasChanged tells whether by one of the events something was changed below the root or in
// the worktree, or asked of Docker. What comes before that is no part of an operation.
func (y yard) hasChanged(events []string) bool {
	for _, e := range events {
		op, name, _ := strings.Cut(e, " ")
		switch op {
		case "run", "send":
			return true
		case "lock", "sleep", "mkdirall":
		default:
			if strings.HasPrefix(name, y.root+"/") || strings.HasPrefix(name, y.trees+"/") {
				return true
			}
		}
	}
	return false
}

// unfinished is the run that has not come to its end, "" if there is none.
func (y yard) unfinished() (id string, err error) {
	names, err := filepath.Glob(filepath.Join(runsOf(y.dir), "*", journalFile))
	for _, name := range names {
		data, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr)
		recorded := happenings(string(data))
		if dir := filepath.Base(filepath.Dir(name)); !strings.HasPrefix(dir, ".") && len(recorded) > 0 && recorded[len(recorded)-1].Event != "result" {
			id = dir
		}
	}
	return id, err
}

// awaitCompose waits until no Compose works on the project any more: one whose starter
// was killed lives on for a moment.
func (y yard) awaitCompose(ctx context.Context) {
	for ctx.Err() == nil {
		out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "args").Output()
		if err != nil || !strings.Contains(string(out), "--project-name "+fmt.Sprintf(y.project, 1)) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func runDocker(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, &stderr)
	}
	return string(out), nil
}
