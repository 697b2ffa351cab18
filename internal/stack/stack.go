// Package stack starts and stops the stacks of slots through Docker Compose v2.
//
// Compose is always told its project, directory, files and env file, and gets a
// clean environment, so that no variable of the caller's shell can lead a command to
// another stack. Before anything is changed, the Docker Engine is asked whose
// containers there are under the project's name: with those of another root, or of
// no pool, Compose is not run at all, since it goes by that name alone. A container
// of another that appears after that look isn't protected.
//
// On networks and volumes Compose writes the project's name, but no directory. A volume
// counts as the stack's own if the record has it ([Volumes]), or if one of the stack's
// containers uses it; all others of the name are somebody else's, are never removed, and
// keep a clean start from being made. A network holds no data: those of the project's
// name go with the stack, unless a container of another is on them.
//
// A start changes nothing until Compose has read the files and the images are there, and
// a start that fails takes down what it has made from nothing, never what was there
// before.
//
// In a planned world the checks are made, and what would change something is
// [world.ErrPlanned].
package stack

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/secret"
)

// Stack is a Compose project.
type Stack struct {
	Root    string   // the pool's root: a container with a directory or file below it is ours
	Project string   // the project's name
	Dir     string   // the project's directory, absolute
	EnvFile string   // its variables, absolute
	Files   []string // its Compose files, absolute, the first one first
	// BaseDir is the directory that relative paths in the files lead to, absolute; Dir
	// if empty. BaseEnv is a file with variables, absolute, before which those of
	// EnvFile go; there is none if empty.
	BaseDir, BaseEnv string

	Build bool     // whether a start builds the images that the files say how to build
	Pass  []string // variables of the caller's environment that Compose gets beside those of world.CleanEnv
	Sets  []string // the variables that EnvFile sets: Compose gets none of them from the caller

	// Secrets are variables that stand in no file. Their names must pass
	// secret.CheckName and not stand in Pass. Only Up needs the values.
	Secrets map[string]secret.Value

	// Masks is the values that must not stand in errors with what Compose or a service has
	// printed, those of Secrets among them; nil: none. Such text is masked before it is cut, since
	// a part of a value would not be found any more.
	Masks *mask.Set
}

var (
	// ErrNoCompose is returned where there is no Docker Compose of version 2.
	ErrNoCompose = errors.New("docker compose v2 is not installed")

	// ErrInTheWay is returned where containers of another root, or of no pool, have
	// the project's name. The error is an [*InTheWayError].
	ErrInTheWay = errors.New("containers of another project are in the way")

	// ErrPortTaken is returned where somebody else has a port of the stack. The error
	// is a [*PortTakenError].
	ErrPortTaken = errors.New("port is taken")

	// ErrImageMissing is returned where an image is neither here nor can be had. The
	// error is an [*ImageMissingError].
	ErrImageMissing = errors.New("image is missing")

	// ErrUnhealthy is returned where a service ends, or doesn't get healthy in time.
	// The error is an [*UnhealthyError].
	ErrUnhealthy = errors.New("stack is not healthy")

	// ErrKept is returned, beside why a start failed, where all that it has started was
	// left on demand.
	ErrKept = errors.New("what was started is left")

	// ErrNotStarted is returned for what needs a stack that was started.
	ErrNotStarted = errors.New("stack was not started")
)

// InTheWayError says which containers are in the way.
type InTheWayError struct {
	Project    string
	Containers []docker.Container
}

func (e *InTheWayError) Error() string {
	var names []string
	for _, c := range e.Containers {
		names = append(names, fmt.Sprintf("%s of %s", c.Name, c.Dir))
	}
	return fmt.Sprintf("project %s: containers of another project by that name are in the way: %s", e.Project, strings.Join(names, ", "))
}

// Is makes it an ErrInTheWay.
func (e *InTheWayError) Is(target error) bool { return target == ErrInTheWay }

// ImageMissingError says which images are missing.
type ImageMissingError struct {
	Project string
	Images  []string
	Err     error // what Compose said
}

func (e *ImageMissingError) Error() string {
	what := "image " + e.Images[0] + " is"
	if len(e.Images) > 1 {
		what = "images " + strings.Join(e.Images, ", ") + " are"
	}
	return fmt.Sprintf("starting project %s: %s not here and could not be pulled", e.Project, what)
}

func (e *ImageMissingError) Unwrap() error { return e.Err }

// Is makes it an ErrImageMissing.
func (e *ImageMissingError) Is(target error) bool { return target == ErrImageMissing }

// UnhealthyError says which containers are not as they should be.
type UnhealthyError struct {
	Project  string
	Reason   string // "not healthy after 3m0s"; empty if the failures say it all
	Failures []Failure
	Err      error // world.ErrTimeout, what Compose said, or nil
}

// Failure is a container that isn't as it should be.
type Failure struct {
	Service   string
	Container string   // its name
	Status    string   // the Engine's words: "Exited (1) 2 seconds ago"
	Logs      []string // its last lines
}

func (e *UnhealthyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "starting project %s", e.Project)
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	for i, f := range e.Failures {
		separator := "\n"
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&b, "%sservice %s (%s): %s", separator, f.Service, f.Container, f.Status)
		for _, line := range f.Logs {
			b.WriteString("\n  | " + line)
		}
	}
	return b.String()
}

func (e *UnhealthyError) Unwrap() error { return e.Err }

// Is makes it an ErrUnhealthy.
func (e *UnhealthyError) Is(target error) bool { return target == ErrUnhealthy }

// keptError is an error that is an ErrKept, too.
type keptError struct{ error }

func (e *keptError) Unwrap() error        { return e.error }
func (e *keptError) Is(target error) bool { return target == ErrKept }

// check refuses a stack that would leave something to Compose's defaults.
func (s Stack) check() error {
	paths := append([]string{s.Root, s.Dir, s.EnvFile}, s.Files...)
	for _, optional := range []string{s.BaseDir, s.BaseEnv} {
		if optional != "" {
			paths = append(paths, optional)
		}
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("project %s: path %q is not absolute", s.Project, path)
		}
	}
	if s.Project == "" || len(s.Files) == 0 {
		return fmt.Errorf("project %q with %d Compose files: want a name, and a file at least", s.Project, len(s.Files))
	}
	return nil
}
