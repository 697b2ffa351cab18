package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// Scripts with which a run went on later are kept in files of their own, each named by the
// hash of what is in it. So the line of the journal that names one also says what was in it,
// and one that a killed process has left is named by no line.
var laterScripts = regexp.MustCompile(`^scripts-([0-9a-f]{16})\.json$`)

func scriptsName(data []byte) string {
	hash := digest(data)
	return "scripts-" + string(hash[:]) + ".json"
}

// ScriptsName is the file of the record with the scripts that an event says the run is made
// of from there on; "" if it says nothing of that.
func ScriptsName(e *event.Event) string {
	switch e.Type {
	case event.RunBegan:
		return scriptsFile
	case event.Resumed:
		return e.Scripts
	}
	return ""
}

// ScriptsNames is the files of a record with scripts, in the order in which the run was made
// of them. One may stand there twice.
func (r *Record) ScriptsNames() []string {
	var names []string
	for i := range r.Events {
		if name := ScriptsName(&r.Events[i]); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// FilesRead is the events about files that the run has first asked for while it was made of the
// scripts of a name: what the scripts of that name have of them doesn't count.
func (r *Record) FilesRead(scripts string) []*event.Event {
	var files []*event.Event
	current := ""
	for i := range r.Events {
		e := &r.Events[i]
		if name := ScriptsName(e); name != "" {
			if current = name; name == scripts {
				files = nil // it begins anew with them
			}
		}
		if e.Type == event.FileRead && current == scripts {
			files = append(files, e)
		}
	}
	return files
}

// KeepScripts puts scripts into the record of a run, and gives the name by which an event
// says that the run goes on with them. They are durable when it returns. Whoever calls it
// has the run's journal.
func (s *Store) KeepScripts(id string, data []byte) (name string, err error) {
	name = scriptsName(data)
	if err := world.RemoveLeftovers(s.files, id); err != nil {
		return "", err
	}
	if err := world.Replace(s.files, s.world, path.Join(id, name), data, fileMode); err != nil {
		return "", fmt.Errorf("keeping the scripts of the run %s: %w", id, err)
	}
	return name, nil
}

// Scripts is the scripts that a run is made of now: those that were kept last, or those that
// Create was given.
func (s *Store) Scripts(r *Record) ([]byte, error) {
	names := r.ScriptsNames()
	return s.ScriptsOf(r, names[len(names)-1])
}

// ScriptsOf is what one of ScriptsNames holds. It must be there: a record begins as a whole,
// and no event names scripts before they are durable.
func (s *Store) ScriptsOf(r *Record, name string) ([]byte, error) {
	file := path.Join(r.ID, name)
	data, err := s.readOwn(file, mostScripts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DamagedError{Path: s.Dir(file), Err: errMissing}
	}
	if err != nil {
		return nil, fmt.Errorf("the scripts of the run %s: %w", r.ID, err)
	}
	changed := name != scriptsName(data)
	if name == scriptsFile {
		changed = r.scripts != (link{}) && r.scripts != digest(data)
	}
	if changed {
		return nil, &DamagedError{Path: s.Dir(file), Err: errChanged}
	}
	return data, nil
}
