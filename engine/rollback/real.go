package rollback

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// Order is what a real process is to do, on its standard input.
type Order struct {
	Dir     string  `json:"dir"` // of the case
	ID      string  `json:"id"`  // of its run
	Program Program `json:"program"`
	Process Process `json:"process"`
	Entries int     `json:"entries"` // so far
}

const traceFile = "trace.jsonl"

// Obey does what an order says, in this process. It tells in a file what happens, and kills
// the process where the order says so.
func Obey(o Order) error {
	file, err := os.OpenFile(filepath.Join(o.Dir, traceFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	t := newTracer(o.Process, make(Trace, o.Entries))
	t.tell = func(e Entry) error {
		line, err := json.Marshal(e)
		if err == nil {
			_, err = file.Write(append(line, '\n'))
		}
		return err
	}
	t.kill = func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	s := &site{world: world.Real("a process of a case"), dir: o.Dir, tracer: t}
	s.run(o.Process, o.Program, o.ID)
	return file.Close()
}

// Deaths counts how processes were killed.
type Deaths struct {
	Own   int // by themselves, at an entry
	Other int // by another process, after a time
}

// RunReal runs a case with real processes, on a disk. child is one that obeys the order on
// its standard input; dir is empty, and stays with what the case leaves.
func RunReal(ctx context.Context, c Case, dir string, child func(context.Context) *exec.Cmd, random *rand.Rand, deaths *Deaths) (Trace, error) {
	r := &realRun{dir: dir, random: random, deaths: deaths, within: 20 * time.Millisecond}
	o := Order{Dir: dir}
	program := c.Program
	for _, p := range c.Processes {
		if p.Do != Start && o.ID == "" {
			break
		}
		o.Program, o.Process, o.Entries = program, p, len(r.trace)
		if p.Do == Edited {
			o.Program = p.Program
		}
		if err := r.process(ctx, o, child(ctx)); err != nil {
			return r.trace, err
		}
		if r.trace[o.Entries:].wentOn() {
			program = o.Program
		}
		var err error
		if o.ID, err = r.id(); err != nil {
			return r.trace, err
		}
	}
	return r.trace, nil
}

// realRun is a case that real processes run.
type realRun struct {
	dir    string
	trace  Trace
	random *rand.Rand
	deaths *Deaths
	within time.Duration // in which a process is killed by another
}

// process runs one. Of those that are to die, half are killed after some time instead.
func (r *realRun) process(ctx context.Context, o Order, cmd *exec.Cmd) error {
	timed := o.Process.Kill > 0 && r.random.IntN(2) == 0
	if timed {
		o.Process.Kill = 0
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	cmd.Stdin = bytes.NewReader(text)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		return err
	}
	if timed {
		timer := time.AfterFunc(time.Duration(r.random.Int64N(int64(r.within))), func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	err = cmd.Wait()
	killed := err != nil && !cmd.ProcessState.Exited() && ctx.Err() == nil
	switch {
	case err != nil && !killed:
		return errors.Join(err, errors.New(problems.String()))
	case killed && timed:
		r.deaths.Other++
		r.within -= r.within / 10
	case killed:
		r.deaths.Own++
	case timed:
		r.within += r.within / 4
	}
	return r.follow(o.Process, killed)
}

// follow adds to the trace what a process has told, and what it could tell no more.
func (r *realRun) follow(p Process, killed bool) error {
	file, err := os.Open(filepath.Join(r.dir, traceFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it was killed before
	}
	if err != nil {
		return err
	}
	began := len(r.trace)
	if file != nil {
		defer file.Close()
		if r.trace, err = readTrace(file, r.trace); err != nil {
			return err
		}
	}
	if len(r.trace) == began {
		r.trace = append(r.trace, Entry{What: ProcessBegan, Arg: p.Do})
	}
	if err := r.lastLine(); err != nil {
		return err
	}
	if killed && r.trace[len(r.trace)-1].What != ProcessEnded {
		r.trace = append(r.trace, Entry{What: ProcessEnded, Arg: EndedKilled})
	}
	return r.keep()
}

// readTrace reads all entries, of which some are known.
func readTrace(file *os.File, known Trace) (Trace, error) {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		if n < len(known) {
			continue
		}
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		known = append(known, e)
	}
	return known, lines.Err()
}

// lastLine adds the last line of the journal, if its process was killed before it could tell.
func (r *realRun) lastLine() error {
	id, err := r.id()
	if err != nil || id == "" {
		return err
	}
	data, err := os.ReadFile(filepath.Join(r.dir, runsDir, id, "journal.jsonl"))
	if err != nil {
		return err
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines = lines[1 : len(lines)-1] // the first is no entry, the last has no end
	for _, e := range r.trace {
		if e.What == Line {
			lines = lines[1:]
		}
	}
	for _, line := range lines {
		e, err := lineOf(line)
		if err != nil {
			return err
		}
		r.trace = append(r.trace, e)
	}
	return nil
}

// keep writes the file of entries anew, so that it has all of the trace.
func (r *realRun) keep() error {
	var all bytes.Buffer
	encoder := json.NewEncoder(&all)
	for _, e := range r.trace {
		if err := encoder.Encode(e); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(r.dir, traceFile), all.Bytes(), 0o600)
}

// id is that of the run, "" while it has no record.
func (r *realRun) id() (string, error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, runsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			return e.Name(), nil
		}
	}
	return "", err
}
