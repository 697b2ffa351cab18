package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// childVariable is the environment variable that makes this program, or its test
// binary, one of the processes of a row. It holds an order.
const childVariable = "KINFRA_TORTURE_CHILD"

// order is what a child is to do.
type order struct {
	Role   string        `json:"role"`
	Dir    string        `json:"dir"`    // of the pool
	Number int           `json:"number"` // of the child among those of its role
	Seed   uint64        `json:"seed"`
	Fault  string        `json:"fault"`   // a seeded one; see faults
	Until  time.Duration `json:"until"`   // when to end, on the clock of world.BootTime
	KillAt int           `json:"kill_at"` // the file operation at which it kills itself; 0 for none
	Name   string        `json:"name"`    // of what it works on
}

// roles are what children do.
func roles() map[string]func(context.Context, child) error {
	return map[string]func(context.Context, child) error{
		"worker": work,
		"reader": read,
		"older":  writeAsOlder,
		"holder": holdLock,
		"waiter": waitForSlot,
		"racer":  race,
	}
}

// child is a process of a row.
type child struct {
	order
	in  io.Reader // ends when the parent does
	out *json.Encoder
}

// runChild does what an order says; it returns the exit code.
func runChild(ctx context.Context, text string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := child{in: stdin, out: json.NewEncoder(stdout)}
	err := json.Unmarshal([]byte(text), &c.order)
	if err == nil {
		do, ok := roles()[c.Role]
		if !ok {
			err = fmt.Errorf("unknown role %q", c.Role)
		} else {
			err = do(ctx, c)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s %d: %v\n", c.Role, c.Number, err)
		return 1
	}
	return 0
}

// world is the real one. Its locks name this process.
func (c child) world() world.World { return world.Real(c.process()) }

// process is what a child says of itself.
func (c child) process() string { return fmt.Sprintf("pid %d: %s %d", os.Getpid(), c.Role, c.Number) }

// command is a child that isn't started yet. It is killed when ctx ends.
func (o order) command(ctx context.Context) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	return cmd, nil
}

// upTime is the clock that all processes of a machine share.
func upTime() time.Duration {
	_, up, err := world.Real("").Clock.BootTime()
	if err != nil {
		panic(err) // every system that the project is built for has that clock
	}
	return up
}
