package journal_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
)

// resumes puts on record that a process goes on with a run, with scripts of a name.
func resumes(t *testing.T, s *journal.Store, id, scripts string) {
	t.Helper()
	r, j, err := s.Resume(id)
	must(t, err)
	must(t, j.Add(&event.Event{Seq: len(r.Events) + 1, Type: event.Resumed, Run: began().Run, Scripts: scripts}))
	must(t, errors.Join(j.Sync(), j.Close()))
}

// wantsScripts fails unless these are what a run is made of now.
func wantsScripts(t *testing.T, s *journal.Store, id, want string) *journal.Record {
	t.Helper()
	r, err := s.Read(id)
	must(t, err)
	if got, err := s.Scripts(r); string(got) != want || err != nil {
		t.Fatalf("the scripts are %q (%v), want %q", got, err, want)
	}
	return r
}

// Scripts that are kept count once an event names them, and until the next one that does.
func TestKeptScripts(t *testing.T) {
	w := world.NewFake()
	s, id := newRun(t, w.World())
	kept, err := s.KeepScripts(id, []byte(`{"b":2}`))
	must(t, err)
	wantsScripts(t, s, id, `{"a":1}`)
	resumes(t, s, id, kept)
	resumes(t, s, id, "")
	wantsScripts(t, s, id, `{"b":2}`)
	third, err := s.KeepScripts(id, []byte(`{"c":3}`))
	must(t, err)
	resumes(t, s, id, third)
	r := wantsScripts(t, s, id, `{"c":3}`)
	if got, want := r.ScriptsNames(), []string{"scripts.json", kept, third}; !slices.Equal(got, want) {
		t.Errorf("the names are %q, want %q", got, want)
	}
	for name, want := range map[string]string{"scripts.json": `{"a":1}`, kept: `{"b":2}`, third: `{"c":3}`} {
		if got, err := s.ScriptsOf(r, name); string(got) != want || err != nil {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}

// Scripts that are gone, or that somebody has changed, are damage.
func TestDamagedScripts(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(w *world.Fake, name string)
	}{
		{"changed", "it has changed since it was written", func(w *world.Fake, name string) { w.Write(name, []byte(`{"x":2}`)) }},
		{"emptied", "it has changed since it was written", func(w *world.Fake, name string) { w.Write(name, nil) }},
		{"gone", "it is missing", func(w *world.Fake, name string) { must(t, w.Host().Remove(name)) }},
	} {
		w := world.NewFake()
		s, id := newRun(t, w.World())
		kept, err := s.KeepScripts(id, []byte(`{"b":2}`))
		must(t, err)
		resumes(t, s, id, kept)
		r := wantsScripts(t, s, id, `{"b":2}`)
		for _, name := range []string{"scripts.json", kept} {
			c.spoil(w, path.Join(dir, id, name))
			_, err := s.ScriptsOf(r, name)
			if _, damaged := errors.AsType[*journal.DamagedError](err); !damaged || !strings.Contains(err.Error(), name+" is damaged: "+c.want) {
				t.Errorf("%s %s: the error is %v", name, c.name, err)
			}
		}
	}
}

// No event leads out of its record, or to a file of it that holds something else.
func TestNamesOfScripts(t *testing.T) {
	for _, name := range []string{"../other/scripts.json", "/etc/passwd", "scripts.json", "seal", "scripts-0.json", "scripts-0123456789abcdef.json/..", "scripts-0123456789abcdeg.json"} {
		s, id := newRun(t, world.NewFake().World())
		resumes(t, s, id, name)
		_, err := s.Read(id)
		if _, damaged := errors.AsType[*journal.DamagedError](err); !damaged {
			t.Errorf("%q: the error is %v", name, err)
		}
	}
}

// Scripts that can't be kept whole leave the record as it was; what a killed process has
// left of them is removed by the next one.
func TestScriptsThatCannotBeKept(t *testing.T) {
	w := world.NewFake()
	_, id := newRun(t, w.World())
	for _, op := range []string{"create", "sync", "rename"} {
		faulty := world.Faulty(w.World(), func(at, name string) error {
			if at == op && strings.Contains(name, "scripts-") {
				return syscall.ENOSPC
			}
			return nil
		})
		if _, err := journal.Open(faulty, dir, 50).KeepScripts(id, []byte(`{"b":2}`)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: the error is %v", op, err)
		}
		wantsScripts(t, journal.Open(w.World(), dir, 50), id, `{"a":1}`)
	}
	left := path.Join(dir, id, world.TempName(w.World(), "scripts-x.json"))
	w.Write(left, []byte("{"))
	s := journal.Open(w.World(), dir, 50)
	kept, err := s.KeepScripts(id, []byte(`{"b":2}`))
	must(t, err)
	if _, err := w.Host().Lstat(left); err == nil {
		t.Error("what a killed process has left is still there")
	}
	resumes(t, s, id, kept)
	wantsScripts(t, s, id, `{"b":2}`)
}
