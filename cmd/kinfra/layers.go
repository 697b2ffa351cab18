package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/scripts"
)

// Where things are that concern no single pool.
const (
	projectDir = ".kinfra" // a project's scripts, in a directory of its tree
	appDir     = "kinfra"  // below the XDG directories
)

// findLayers assembles the layers. Where a project's scripts are not trusted it
// returns the other layers and an UntrustedError.
func findLayers(w world.World, scriptsDir string) (*layer.Stack, error) {
	return layersWith(w, scriptsDir, trustedProject)
}

// layersWith assembles the layers, with that of the project that a function gives.
func layersWith(w world.World, scriptsDir string, projectOf func(world.World) (*layer.Layer, error)) (*layer.Stack, error) {
	stack := &layer.Stack{Builtin: layer.EmbeddedCompiled("kinfra", scripts.Files, scripts.Compiled())}
	if scriptsDir != "" {
		given, err := givenLayer(w, scriptsDir)
		if err != nil {
			return nil, err
		}
		stack.Layers = append(stack.Layers, given)
	}
	project, trustErr := projectOf(w)
	if project != nil {
		stack.Layers = append(stack.Layers, project)
	}
	if dir := userScripts(w); dir != "" {
		stack.Layers = append(stack.Layers, layer.Directory(w, "user", dir))
	}
	stack.Layers = append(stack.Layers, stack.Builtin)
	return stack, trustErr
}

// givenLayer is the directory of --scripts, which must be there.
func givenLayer(w world.World, dir string) (*layer.Layer, error) {
	path, err := absolute(w, dir)
	if err != nil {
		return nil, err
	}
	if err := isDirectory(w, path); err != nil {
		return nil, &engine.Error{Code: engine.Usage, Message: fmt.Sprintf("--scripts %s: %v", dir, err), Err: err,
			Next: "--scripts wants a directory, such as one that kinfra scripts eject --to has filled"}
	}
	return layer.Directory(w, "scripts", path), nil
}

// isDirectory tells what keeps an absolute path from being that of a directory.
func isDirectory(w world.World, path string) error {
	info, err := w.Disk.Root(path).Lstat(".") // through a link, if the path is one
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if err == nil && !info.Mode.IsDir() {
		return errors.New("not a directory")
	}
	return err
}

// trustedProject is the layer of the project that the working directory is in, nil
// if there is none or the user hasn't allowed it.
func trustedProject(w world.World) (*layer.Layer, error) {
	project, err := findProject(w, ".")
	if err != nil {
		return nil, err
	}
	if project == nil || len(project.Files()) == 0 {
		return nil, nil
	}
	trust, err := openTrust(w)
	if err != nil {
		return nil, err
	}
	switch allowed, err := trust.Allowed(project); {
	case err != nil:
		return nil, err
	case !allowed:
		return nil, &layer.UntrustedError{Dir: project.Dir}
	}
	return project.Layer(), nil
}

// anyProject is the layer of the project, whether it is trusted or not: to be read, not run.
func anyProject(w world.World) (*layer.Layer, error) {
	project, err := findProject(w, ".")
	if err != nil || project == nil || len(project.Files()) == 0 {
		return nil, err
	}
	return project.Layer(), nil
}

func findProject(w world.World, from string) (*layer.Project, error) {
	dir, err := absolute(w, from)
	if err != nil {
		return nil, err
	}
	project, err := layer.FindProject(w, dir, projectDir)
	if err != nil {
		return nil, &engine.Error{Code: engine.Usage, Message: err.Error(), Err: err, Next: projectHint(err)}
	}
	return project, nil
}

// projectHint is what to do about a project's scripts that can't be read.
func projectHint(err error) string {
	switch {
	case errors.Is(err, layer.ErrNoDirectory):
		return "a project's scripts are files in a directory " + projectDir + ": move away what is there in its place"
	case errors.Is(err, layer.ErrTooMuch), errors.Is(err, world.ErrTooLarge):
		return "keep scripts and templates alone in " + projectDir + "/, and other files elsewhere in the project"
	case errors.Is(err, fs.ErrPermission):
		return "kinfra reads all files in " + projectDir + "/, to tell whether they are trusted: see who may read them"
	}
	return "a project's scripts are plain files: no link may lead out of their directory"
}

func openTrust(w world.World) (*layer.Trust, error) {
	dir := stateDir(w)
	if dir == "" {
		return nil, errors.New("neither HOME nor XDG_STATE_HOME is set, so it isn't known which scripts are trusted: set HOME")
	}
	return layer.OpenTrust(w, filepath.Join(dir, "trust")), nil
}

// stateDir is where kinfra remembers what concerns no single pool, "" where there is
// no home.
func stateDir(w world.World) string { return xdg(w, "XDG_STATE_HOME", ".local/state") }

// poolSource is where pool.star is from: its file, and the directory of the project
// that brings it along; each empty if there is none.
func (a *app) poolSource() (file, project string) {
	found, err := a.layers.Find("pool.star")
	if err != nil || found.Layer.Dir == "" {
		return "", ""
	}
	if found.Layer.Name == layer.ProjectName {
		project = filepath.Dir(found.Layer.Dir)
	}
	return filepath.Join(found.Layer.Dir, found.Name), project
}

// userScripts is the directory of the user's own scripts, "" where there is no home.
func userScripts(w world.World) string {
	dir := xdg(w, "XDG_CONFIG_HOME", ".config")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "scripts")
}

// xdg is kinfra's directory below one that a variable names, or that is below the
// home directory (XDG Base Directory Specification: a relative path does not count).
func xdg(w world.World, variable, below string) string {
	if dir, _ := w.Env.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, appDir)
	}
	if home, _ := w.Env.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, below, appDir)
	}
	return ""
}

// absolute is a path as one that begins with a slash.
func absolute(w world.World, path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	work, err := w.Env.WorkDir()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the working directory has been removed")
	}
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	return filepath.Join(work, path), nil
}
