package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	journalFile = "journal.jsonl"
	sealFile    = "seal"
	scriptsFile = "scripts.json"
	lockFile    = "lock"

	dirMode  = 0o700
	fileMode = 0o600

	mostJournal = 1 << 30   // bytes of a journal that is read, and of a seal
	mostScripts = 128 << 20 // bytes of the scripts

	lockTime   = 10 * time.Second // how long to wait for others who begin a record
	resumeTime = time.Second      // and for those who only look at one
)

// Store is a directory of records.
type Store struct {
	world world.World
	files world.Files
	dir   string
	keep  int
}

// Open gives the records in a directory, an absolute path, which need not exist. Of the
// runs about which nothing is left to do, and of the others, damaged ones among them, the
// newest keep are kept when a new one begins.
func Open(w world.World, dir string, keep int) *Store {
	return &Store{w, w.Disk.Root(dir), dir, keep}
}

// Dir is where the record of a run is.
func (s *Store) Dir(id string) string { return filepath.Join(s.dir, id) }

// Create begins the record of a run, with its scripts and the event that first gives for
// the run's ID. Both are durable when it returns.
func (s *Store) Create(scripts []byte, first func(id string) *event.Event) (*Journal, string, error) {
	if err := s.makeDir(); err != nil {
		return nil, "", err
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	if err := s.prune(); err != nil {
		return nil, "", fmt.Errorf("removing old records of runs: %w", err)
	}
	id, err := s.newID()
	if err != nil {
		return nil, "", err
	}
	e := *first(id)
	run := *e.Run
	run.Version, e.Run = Version, &run
	line, hash, err := linkerOf(Version).line(nil, origin, &e, stamps{scripts: digest(scripts)})
	if err != nil {
		return nil, "", fmt.Errorf("recording an event: %w", err)
	}
	j, err := s.build(id, scripts, line[len(origin):], mark{1, hash})
	if err != nil {
		return nil, "", err
	}
	return j, id, nil
}

// makeDir makes the directory of the records, durably. Whoever made the lock in it has
// done so before.
func (s *Store) makeDir() error {
	_, err := s.files.Lstat(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = world.MakeDirs(s.world.Disk.Host(), s.dir, dirMode)
	}
	if err != nil {
		return fmt.Errorf("making the directory for records of runs: %w", err)
	}
	return nil
}

// build makes the directory of a record aside and renames it into place. Its journal has
// the first line by then, and its seal the first mark, so that one without is damaged,
// wherever a process is killed.
func (s *Store) build(id string, scripts, line []byte, m mark) (*Journal, error) {
	aside := world.TempName(s.world, id)
	err := s.files.Mkdir(aside, dirMode)
	files := []struct {
		name string
		data []byte
	}{{scriptsFile, scripts}, {journalFile, line}, {sealFile, appendMark(nil, m)}}
	for _, f := range files {
		if err == nil {
			err = s.files.CreateFile(path.Join(aside, f.name), f.data, fileMode)
		}
	}
	var j *Journal
	if err == nil {
		j, err = s.openNew(aside, m)
	}
	for _, name := range []string{scriptsFile, journalFile, sealFile, "."} {
		if err == nil {
			err = s.files.Sync(path.Join(aside, name))
		}
	}
	if err == nil {
		err = s.files.Rename(aside, id)
	}
	if err == nil {
		err = s.clear()
	}
	if err == nil {
		return j, nil
	}
	if j != nil {
		j.Close()
	}
	_ = s.files.Rename(id, aside) // if it came that far
	return nil, errors.Join(err, s.clear())
}

// clear makes durable which records there are, and only then removes what others have been
// renamed to: after a loss of power, a record of which a part is gone would pass for damaged.
func (s *Store) clear() error {
	if err := s.files.Sync("."); err != nil {
		return err
	}
	return world.RemoveLeftovers(s.files, ".")
}

// openNew takes the lock of a record, and opens its files.
func (s *Store) openNew(dir string, m mark) (*Journal, error) {
	unlock, err := s.files.TryLock(path.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	j, err := s.open(dir, unlock, linkerOf(Version), m)
	if err != nil {
		unlock()
	}
	return j, err
}

// open opens the files of a record of which the lock is held, to go on behind a mark.
func (s *Store) open(dir string, unlock func(), hashOf linker, m mark) (*Journal, error) {
	file, err := s.files.Append(path.Join(dir, journalFile))
	if err != nil {
		return nil, err
	}
	seal, err := s.files.Append(path.Join(dir, sealFile))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return newJournal(s.world, file, seal, unlock, hashOf, m), nil
}

// lock keeps others from beginning a record at the same time.
func (s *Store) lock() (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockTime)
	defer cancel()
	return s.files.Lock(ctx, lockFile)
}

func isDamaged(err error) bool {
	var damaged *DamagedError
	return errors.As(err, &damaged)
}

// ids is the names of all records, sorted.
func (s *Store) ids() ([]string, error) {
	entries, err := s.files.ReadDir(".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.Mode.IsDir() && !strings.HasPrefix(e.Name, ".") {
			ids = append(ids, e.Name)
		}
	}
	return ids, nil
}
