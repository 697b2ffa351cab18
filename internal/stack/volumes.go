package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
)

// Volumes are the record of the volumes that a stack has made, by name. The value is
// when the Engine says that it was made, which tells it from one that somebody else has
// made under its name since. While Compose may be making it, it is "until TIME": there
// was none of that name when this was written, and a start makes none after that time.
type Volumes map[string]string

// ErrForeignVolumes is returned where volumes of the project's name are in the way of a
// clean start, and it isn't certain that the stack has made them. The error is a
// [*ForeignVolumesError].
var ErrForeignVolumes = errors.New("volumes of another project are in the way")

// ForeignVolumesError says which volumes are in the way.
type ForeignVolumesError struct {
	Project string
	Volumes []docker.Volume
}

func (e *ForeignVolumesError) Error() string {
	are := "is a volume"
	if len(e.Volumes) > 1 {
		are = "are volumes"
	}
	return fmt.Sprintf("project %s: there %s by that name of which nothing says that this slot made it: %s; nothing was changed", e.Project, are, volumeNames(e.Volumes))
}

// volumeNames are the names of volumes, each with when it was made.
func volumeNames(volumes []docker.Volume) string {
	var names []string
	for _, v := range volumes {
		name := v.Name
		if v.CreatedAt != "" {
			name += " (of " + v.CreatedAt + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Is makes it an ErrForeignVolumes.
func (e *ForeignVolumesError) Is(target error) bool { return target == ErrForeignVolumes }

// Hint says how to decide whose they are.
func (e *ForeignVolumesError) Hint() string {
	var names []string
	for _, v := range e.Volumes {
		names = append(names, v.Name)
	}
	all := strings.Join(names, " ")
	return fmt.Sprintf("they hold data, perhaps of a plain Compose project %s, or of a stack that an earlier kinfra started: docker volume inspect %s; "+
		"to keep them, give this pool's projects another name; docker volume rm %s deletes the data for good", e.Project, all, all)
}

const untilPrefix = "until "

// expect is the value of a volume that may be made until a time.
func expect(until time.Time) string { return untilPrefix + until.UTC().Format(time.RFC3339) }

// has tells whether the record says that this stack has made a volume.
func (r Volumes) has(v docker.Volume, project string) bool {
	entry, known := r[v.Name]
	if !known || v.CreatedAt == "" {
		return false
	}
	text, expected := strings.CutPrefix(entry, untilPrefix)
	if !expected {
		return entry == v.CreatedAt
	}
	until, err := time.Parse(time.RFC3339, text)
	created, createdErr := time.Parse(time.RFC3339, v.CreatedAt)
	return err == nil && createdErr == nil && v.Project == project && !created.After(until)
}

// expects tells whether the record has volumes that may be being made.
func (r Volumes) expects() bool {
	for _, entry := range r {
		if strings.HasPrefix(entry, untilPrefix) {
			return true
		}
	}
	return false
}

// own are those of the Engine's volumes that the stack has made: by the record, or
// because its containers use them and Compose made them for its project. As long as a
// container uses a volume, there can't be another one of the name.
func (s Stack) own(volumes []docker.Volume, containers []docker.Container, made Volumes) Volumes {
	used := map[string]bool{}
	for _, c := range containers {
		for _, name := range c.Volumes {
			used[name] = true
		}
	}
	own := Volumes{}
	for _, v := range volumes {
		if used[v.Name] && v.Project == s.Project || made.has(v, s.Project) {
			own[v.Name] = v.CreatedAt
		}
	}
	return own
}

// foreign are the volumes of the project's name that aren't the stack's own: those that
// Compose made for it, and those that have a name which Compose would use.
func (s Stack) foreign(volumes []docker.Volume, own Volumes, names []string) []docker.Volume {
	derived := map[string]bool{}
	for _, name := range names {
		derived[name] = strings.HasPrefix(name, s.Project+"_")
	}
	var foreign []docker.Volume
	for _, v := range volumes {
		if _, ok := own[v.Name]; !ok && (v.Project == s.Project || derived[v.Name]) {
			foreign = append(foreign, v)
		}
	}
	return foreign
}

// record keeps what the stack has made, where that has changed.
type record struct {
	made Volumes
	save func(context.Context, Volumes) error // may be nil
}

func (r *record) set(ctx context.Context, made Volumes) error {
	if maps.Equal(r.made, made) {
		return nil
	}
	r.made = made
	if r.save == nil {
		return nil
	}
	if err := r.save(ctx, maps.Clone(made)); err != nil {
		return fmt.Errorf("recording the volumes of a stack: %w", err)
	}
	return nil
}
