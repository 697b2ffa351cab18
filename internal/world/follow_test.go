package world_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// followed is what a command that is followed tells of itself.
type followed struct{ stdout, stderr, all bytes.Buffer }

func (f *followed) take(from world.Stream, piece []byte) {
	f.all.Write(piece)
	if from == world.Stderr {
		f.stderr.Write(piece)
	} else {
		f.stdout.Write(piece)
	}
}

// TestFollow: what a process prints is told while it runs, in the order in which it came,
// and is in the Output all the same.
func TestFollow(t *testing.T) {
	dir := tempDir(t)
	var got followed
	cmd := shell(dir, `echo one; while [ ! -e seen1 ]; do sleep 0.01; done; echo two >&2; while [ ! -e seen2 ]; do sleep 0.01; done; printf three`)
	cmd.Follow = func(from world.Stream, piece []byte) {
		got.take(from, piece)
		for text, file := range map[string]string{"one\n": "seen1", "one\ntwo\n": "seen2"} {
			if got.all.String() == text { // the process waits for it
				worldtest.Must(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
			}
		}
		clear(piece) // it is nobody else's
	}
	out, err := world.Real("test").Processes.Run(t.Context(), cmd)
	worldtest.Must(t, err)
	if got.all.String() != "one\ntwo\nthree" || got.stderr.String() != "two\n" {
		t.Errorf("followed %q, of it on stderr %q", &got.all, &got.stderr)
	}
	if string(out.Stdout) != "one\nthree" || string(out.Stderr) != "two\n" {
		t.Errorf("the output is %q and %q", out.Stdout, out.Stderr)
	}
}

// TestFollowOfWhatIsEnded: what came until then is told, and in the Output.
func TestFollowOfWhatIsEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		change func(cmd *world.Command, ctx *context.Context)
		want   error
	}{
		"time-out": {"echo begun; sleep 60", func(cmd *world.Command, _ *context.Context) { cmd.Timeout = 200 * time.Millisecond }, world.ErrTimeout},
		"too much": {"echo begun; yes", func(cmd *world.Command, _ *context.Context) { cmd.Limit = 1000 }, world.ErrTooLarge},
		"cancelled": {"echo begun; sleep 60", func(cmd *world.Command, ctx *context.Context) {
			cancelled, cancel := context.WithCancel(*ctx)
			*ctx = cancelled
			follow := cmd.Follow
			cmd.Follow = func(from world.Stream, piece []byte) { follow(from, piece); cancel() }
		}, context.Canceled},
	} {
		var got followed
		cmd, ctx := shell(tempDir(t), tt.script), t.Context()
		cmd.Follow = got.take
		tt.change(&cmd, &ctx)
		out, err := world.Real("test").Processes.Run(ctx, cmd)
		if !errors.Is(err, tt.want) || !strings.HasPrefix(got.all.String(), "begun\n") {
			t.Errorf("%s: followed %.20q, and %v", name, &got.all, err)
		}
		if got.all.String() != string(out.Stdout) {
			t.Errorf("%s: followed %d bytes, the output has %d", name, got.all.Len(), len(out.Stdout))
		}
	}
}

// TestFollowEnds: once Run has returned nothing more is told, though something that was
// left in the background goes on printing.
func TestFollowEnds(t *testing.T) {
	returned := make(chan bool, 1)
	cmd := shell(tempDir(t), "(trap '' HUP; while sleep 0.01 && echo more; do :; done) & echo begun")
	cmd.Follow = func(world.Stream, []byte) {
		select {
		case <-returned:
			t.Error("told when Run had returned")
		default:
		}
	}
	_, err := world.Real("test").Processes.Run(t.Context(), cmd)
	returned <- true
	worldtest.Must(t, err)
}

// TestFakeIsFollowed: of what a handler returns, what it has not told itself is told when
// it ends.
func TestFakeIsFollowed(t *testing.T) {
	fake := world.NewFake()
	fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		cmd.Follow(world.Stderr, []byte("compil"))
		cmd.Follow(world.Stdout, []byte("1%\r"))
		return world.Output{Stdout: []byte("1%\r2%\n"), Stderr: []byte("compiled")}, world.ErrTimeout
	}
	var got followed
	cmd := world.Command{Args: []string{"cc"}, Dir: "/", Timeout: time.Second, Follow: got.take}
	_, err := fake.World().Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrTimeout)
	if got.all.String() != "compil1%\r2%\ned" {
		t.Errorf("followed %q", &got.all)
	}
	cmd.Follow = nil // nobody follows, so a handler may tell what it likes
	_, err = fake.World().Processes.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, world.ErrTimeout)
}
