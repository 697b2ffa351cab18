package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// OverrideName is the file beside a Compose file that Compose merges into it. A plain
// `docker compose up` in the directory finds it, too.
const OverrideName = "docker-compose.override.yml"

// ErrMount is returned for a mount that can't be what is asked for.
var ErrMount = errors.New("invalid mount")

// ErrNoSource is returned for a mount of what the worktree doesn't have.
var ErrNoSource = errors.New("what is to be mounted is missing")

// Mount is a part of a worktree as a service sees it.
type Mount struct {
	Source   string // relative to the worktree; "." is the worktree itself
	Target   string // absolute, in the container
	ReadOnly bool
}

// Source is a file or directory that is mounted. Its number (as world.Info has it) tells
// one that was made anew from the one that running containers have, which is not the
// same though its path is.
type Source struct {
	Path string // absolute, without symbolic links
	ID   uint64
}

// Sources are what mounts take from a worktree, by the mounts' own Source.
type Sources map[string]Source

// FindSources looks for what is to be mounted. What isn't there is an ErrNoSource that
// names it, and a link that leads out of the worktree a *LinkError.
func FindSources(files world.Files, worktree string, mounts map[string][]Mount) (Sources, error) {
	found := Sources{}
	for _, service := range slices.Sorted(maps.Keys(mounts)) {
		for _, m := range mounts[service] {
			path, err := Inside(files, worktree, m.Source)
			var info world.Info
			if err == nil {
				info, err = files.Lstat(path)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
				err := fmt.Errorf("%w: service %s is to see %s of the worktree %s, where there is none", ErrNoSource, service, m.Source, worktree)
				return nil, hint.Wrap(err, "make it, or change what is mounted in the pool's script")
			case err != nil:
				return nil, fmt.Errorf("what is mounted for service %s: %w", service, err)
			}
			found[m.Source] = Source{path, info.ID}
		}
	}
	return found, nil
}

// sourcesLabel is the label of a container that says which files are mounted. Compose
// makes a container anew when a label has changed.
const sourcesLabel = "kinfra.sources"

// Override returns a Compose file that mounts parts of a worktree into services: the
// same bytes for the same arguments. Any path that is UTF-8 comes out as it is. What
// isn't in the worktree when the stack starts makes the start fail, and is not
// created there. Containers that run with other files than those of found are made
// anew. Without mounts there are no services in it.
//
// A worktree that isn't absolute, a source that leads out of it, a target that isn't
// absolute or is used twice in a service are an ErrMount.
func Override(worktree string, mounts map[string][]Mount, found Sources) ([]byte, error) {
	file, err := newOverride(worktree, mounts, found)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(file), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing %s: %w", OverrideName, err)
	}
	return out.Bytes(), nil
}

// CheckMounts tells what is wrong with mounts, whatever the worktree: an ErrMount.
func CheckMounts(mounts map[string][]Mount) error {
	_, err := newOverride("/", mounts, nil)
	return err
}

func newOverride(worktree string, mounts map[string][]Mount, found Sources) (overrideFile, error) {
	file := overrideFile{Services: map[string]overrideService{}}
	for _, service := range slices.Sorted(maps.Keys(mounts)) {
		var volumes []overrideVolume
		var numbers []string
		seen := map[string]bool{}
		for _, m := range mounts[service] {
			if err := m.check(worktree); err != nil {
				return file, fmt.Errorf("mount for service %s: %w", service, err)
			}
			target := path.Clean(m.Target)
			if seen[target] {
				return file, fmt.Errorf("mount for service %s: %w: target %q is used twice", service, ErrMount, m.Target)
			}
			seen[target] = true
			source, ok := found[m.Source]
			if !ok {
				source.Path = filepath.Join(worktree, m.Source)
			}
			if source.ID != 0 {
				numbers = append(numbers, strconv.FormatUint(source.ID, 10))
			}
			volumes = append(volumes, overrideVolume{
				Type:     "bind",
				Source:   escape(source.Path),
				Target:   escape(target),
				ReadOnly: m.ReadOnly,
			})
		}
		if len(volumes) > 0 {
			file.Services[service] = overrideService{volumes, labels(numbers)}
		}
	}
	return file, nil
}

// labels are those of a service with some mounts.
func labels(numbers []string) map[string]string {
	if len(numbers) == 0 {
		return nil
	}
	return map[string]string{sourcesLabel: strings.Join(numbers, ",")}
}

// overrideFile and what is in it are the part of the Compose specification that is
// written. The long syntax of volumes is the one without separators, which paths
// could contain.
type overrideFile struct {
	Services map[string]overrideService `yaml:"services"`
}

type overrideService struct {
	Volumes []overrideVolume  `yaml:"volumes"`
	Labels  map[string]string `yaml:"labels,omitempty"`
}

type overrideVolume struct {
	Type     string       `yaml:"type"`
	Source   string       `yaml:"source"`
	Target   string       `yaml:"target"`
	ReadOnly bool         `yaml:"read_only,omitempty"`
	Bind     overrideBind `yaml:"bind"`
}

// overrideBind says no to creating what isn't there. That also makes Compose hand
// the paths to the Engine apart from each other, not joined by colons.
type overrideBind struct {
	CreateHostPath bool `yaml:"create_host_path"`
}

// escape keeps Compose from taking a dollar sign for a variable.
func escape(path string) string { return strings.ReplaceAll(path, "$", "$$") }

func (m Mount) check(worktree string) error {
	for _, p := range []string{worktree, m.Source, m.Target} {
		if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
			return fmt.Errorf("%w: path %q is not UTF-8, or has a NUL byte in it", ErrMount, p)
		}
	}
	switch {
	case !filepath.IsAbs(worktree):
		return fmt.Errorf("%w: worktree %q is not absolute", ErrMount, worktree)
	case !filepath.IsLocal(m.Source):
		return fmt.Errorf("%w: source %q is not a path in the worktree", ErrMount, m.Source)
	case !path.IsAbs(m.Target) || path.Clean(m.Target) == "/":
		return fmt.Errorf("%w: target %q is not an absolute path in the container", ErrMount, m.Target)
	}
	return nil
}
