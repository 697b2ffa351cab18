package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// promise is one line of the table.
type promise struct {
	name    string // in one word
	promise string
	shown   string // how
	try     func(context.Context, *lab) (finding, error)
}

// promises are all that are tried. Those that need a Docker Engine say so where there is none.
func promises() []promise {
	return []promise{
		{"claims", "claims are linearizable: never two holders, never a lost claim",
			"8 processes claim, renew, release and list, and are killed; the history is checked by porcupine", tryClaims},
		{"readers", "a reader sees the old registry or the new, never a part",
			"a process that reads beside the above, without a second try", tryReaders},
		{"seeded", "the harness can fail",
			"faults put into the world, the claim or the source under the same judges, at least one for each row: each has to be caught", trySeeded},
		{"syscalls", "every system call may fail",
			"file operation 1 … n fails once, and for good, with ENOSPC, EIO, EACCES", trySyscalls},
		{"full", "a disk may be full or read-only",
			"a real tmpfs of 64 KiB with less and less room; a read-only one", tryFull},
		{"power", "power may fail",
			"every prefix of the recorded writes with losses of what isn't synced, replayed in memory", tryPower},
		{"damage", "damage is never taken for emptiness",
			"every truncation, and random bit flips, of the registry and of the log of claims, which a cut may leave as it was when shorter", tryDamage},
		{"records", "the record of a run outlasts a loss of power, and is never refused for one",
			"runs that pass, fail, are resumed and taken back; every prefix of what they write, with losses of what isn't synced", tryRecorded},
		{"journal", "a journal shows its damage: what was durable is read as it was written or refused, what comes later is dropped and said",
			"every bit flip, every lost, doubled or swapped line and every cut, of journals of 200 lines that the program has written", tryJournal},
		{"older", "the older tool may write at any time, without a lock",
			"two processes that read, pause, truncate and write, beside four that claim", tryOlder},
		{"stopped", "nothing hangs",
			"holders of locks and of a place in the queue, stopped by SIGSTOP", tryStopped},
		{"clock", "the clock may jump",
			"claims with leases while the wall clock jumps by up to a year either way", tryClock},
		{"rush", "6 slots have 6 winners",
			"64 processes claim at the same moment, again and again", tryRush},
		{"stacks", "a claim, a start, a restart, a stop, a release and a reaping survive kill -9",
			"the program is killed at its events, and again in what goes on after that, on a real Docker Engine", tryStacks},
		{"workflow", "a workflow survives kill -9: resumed, it ends as if undisturbed; taken back, as if it had not been",
			"the program itself runs 30 steps, and is killed in them, in resumes and in undos", tryWorkflow},
		{"rollback", "a rollback is never taken for progress",
			"random programs of steps, failures, kills, resumes and undos, held against a model; some with real processes that are killed", tryRollback},
		{"stackflow", "so does one that starts a stack",
			"the same, with a step that starts a stack on a real Docker Engine", tryStackflow},
	}
}

// shortClaiming is for how long processes claim in the short form.
const shortClaiming = 2 * time.Second

// lab is where promises are tried.
type lab struct {
	dir      string // for files; it is removed at the end
	short    bool
	claiming time.Duration // how long processes claim and are killed
	progress io.Writer

	builds *builds // programs, which rows and labs share

	mu      sync.Mutex // guards what follows
	made    int        // directories so far
	history *claimsRun // of the row of claims, which that of readers shares
}

// newDir makes a directory of its own for something.
func (l *lab) newDir(name string) (string, error) {
	l.mu.Lock()
	l.made++
	dir := filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, l.made))
	l.mu.Unlock()
	return dir, os.Mkdir(dir, 0o700)
}

// memory is where Linux has a file system in memory.
const memory = "/dev/shm"

// newDirInMemory is newDir on a file system in memory, if there is one. It is for what
// kills processes, whose files stay with the system in any case: where a sync costs
// nothing, more happens in the same time. Who asked for it removes it.
func (l *lab) newDirInMemory(name string) (string, error) {
	if dir, err := os.MkdirTemp(memory, "kinfra-torture-"+name+"-"); err == nil {
		return dir, nil
	}
	return l.newDir(name)
}

// pick is one of two values, by the form that is run.
func pick[T any](l *lab, whole, short T) T {
	if l.short {
		return short
	}
	return whole
}
