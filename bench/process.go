package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a program that has run and ended well, measured from outside.
type process struct {
	wall   time.Duration // from before it was started until it was waited for
	user   time.Duration // of the processor, in the program's own code
	memory int64         // the most that it had resident, in bytes; only in a lab that weighs
	stdout string
	stderr string
}

// execute runs a program to its end with just the environment of the lab. An exit code
// other than 0 is an error.
func (l *lab) execute(ctx context.Context, program string, args ...string) (process, error) {
	args = append([]string{program}, args...)
	if l.weighs {
		args = append([]string{l.resident}, args...)
	}
	// It prints into files: at the other end of a pipe this program would wake up for
	// every line and take a processor.
	stdout, err := os.Create(filepath.Join(l.out, "stdout"))
	if err != nil {
		return process{}, err
	}
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(l.out, "stderr"))
	if err != nil {
		return process{}, err
	}
	defer stderr.Close()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = l.dir, l.env, stdout, stderr
	start := time.Now()
	runErr := cmd.Run()
	p := process{wall: time.Since(start)}
	if p.stdout, err = printed(stdout); err != nil {
		return p, err
	}
	if p.stderr, err = printed(stderr); err != nil {
		return p, err
	}
	if runErr != nil {
		return p, fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), runErr, p.stdout, p.stderr)
	}
	p.user = cmd.ProcessState.UserTime()
	if l.weighs {
		err = p.takeWeight()
	}
	return p, err
}

func printed(file *os.File) (string, error) {
	data, err := os.ReadFile(file.Name())
	return string(data), err
}

// takeWeight takes the last line off stderr, which resident has added.
func (p *process) takeWeight() (err error) {
	text := strings.TrimSuffix(p.stderr, "\n")
	i := strings.LastIndexByte(text, '\n') + 1
	if p.memory, err = strconv.ParseInt(text[i:], 10, 64); err != nil {
		return fmt.Errorf("the memory of a process: %w", err)
	}
	p.stderr = text[:i]
	return nil
}
