package layer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/ktrdr/kinfra/internal/world"
)

// coversNamed stands in a record of trust that was made when trust covered the files
// that scripts name, too. Older records are of the scripts alone.
const coversNamed = "with the files that its scripts name\n"

// Named is files of a project that its scripts name and that lie outside of their
// directory, as they were when they were read: what is shown and trusted is what is used.
type Named struct {
	project *Project
	files   snapshot // nil for one that isn't there
}

// With reads the files of some names, which are paths from the directory that has the
// scripts' own. One that isn't there is read as missing, which can be trusted like a
// content. Any other error stops: what can't be shown can't be trusted.
func (p *Project) With(w world.World, names []string) (*Named, error) {
	n := &Named{p, snapshot{}}
	files, total := w.Disk.Root(filepath.Dir(p.Dir)), 0
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return nil, err
		}
		data, err := files.ReadFile(name, MaxFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			n.files[name] = nil
			continue
		case err != nil:
			if p, ok := errors.AsType[*fs.PathError](err); ok {
				err = p.Err
			}
			return nil, fmt.Errorf("reading what the project's scripts name: %s: %w", n.Path(name), err)
		}
		n.files[name] = bytes.Clone(data)
		if n.files[name] == nil {
			n.files[name] = []byte{} // empty, but there
		}
		if total += len(data); total > mostBytes || len(n.files) > mostFiles {
			return nil, fmt.Errorf("reading what the project's scripts name: more than %d files or %d MiB: %w", mostFiles, mostBytes>>20, ErrTooMuch)
		}
	}
	return n, nil
}

// Names is the names of the files, sorted.
func (n *Named) Names() []string { return slices.Sorted(maps.Keys(n.files)) }

// Present is those of Names that are there.
func (n *Named) Present() []string {
	return slices.DeleteFunc(n.Names(), func(name string) bool { return n.files[name] == nil })
}

// Path is the absolute path of a file of that name.
func (n *Named) Path(name string) string { return filepath.Join(filepath.Dir(n.project.Dir), name) }

// Shown is how messages name such a file, as [Layer.Path] has it for a script.
func (n *Named) Shown(name string) string { return n.project.layer.Path("../" + name) }

// Read is the content of one of Names. The error is fs.ErrNotExist for one that isn't
// there, and for a name that is none of them.
func (n *Named) Read(name string) ([]byte, error) {
	if data := n.files[name]; data != nil {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

// Has tells whether a name is one of Names.
func (n *Named) Has(name string) bool {
	_, ok := n.files[name]
	return ok
}

// Put is the same files, one of them with another content.
func (n *Named) Put(name string, data []byte) *Named {
	other := &Named{n.project, maps.Clone(n.files)}
	other.files[name] = data
	return other
}

// digest is a hash over the scripts, and the names and contents of the files. None equals
// that of scripts alone, which hashes a text that begins with a digit.
func (n *Named) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "named by %s:", n.project.Digest)
	for _, name := range n.Names() {
		data := n.files[name]
		if data == nil {
			fmt.Fprintf(h, "%d:%s-", len(name), name)
			continue
		}
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CheckNamed returns an UntrustedError unless the user has allowed the files together with
// the scripts that name them.
func (t *Trust) CheckNamed(n *Named) error {
	if len(n.Present()) == 0 {
		return nil
	}
	switch ok, err := t.has(n.digest()); {
	case err != nil:
		return err
	case ok:
		return nil
	}
	earlier, err := t.isOfScriptsAlone(n.project)
	if err != nil {
		return err
	}
	e := &UntrustedError{Dir: n.project.Dir, Earlier: earlier}
	for _, name := range n.Present() {
		e.Files = append(e.Files, n.Path(name))
	}
	return e
}

// isOfScriptsAlone tells whether the scripts were allowed by a kinfra that didn't know of
// files that they name.
func (t *Trust) isOfScriptsAlone(p *Project) (bool, error) {
	if ok, err := t.has(p.Digest); !ok {
		return false, err
	}
	data, err := t.files.ReadFile(p.Digest, MaxFile)
	if err != nil {
		return false, fmt.Errorf("looking up what is trusted: %w", err)
	}
	return !bytes.HasSuffix(data, []byte("\n"+coversNamed)), nil
}

// AllowNamed remembers files as allowed, together with the scripts that name them.
func (t *Trust) AllowNamed(n *Named) error {
	if len(n.files) == 0 {
		return nil
	}
	return t.remember(n.project, n.digest())
}
