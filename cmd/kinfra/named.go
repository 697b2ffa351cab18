package main

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
)

// projectOf is the project whose scripts are used, and what they may read of it as a
// template: nothing but what the user has allowed.
func (a *app) projectOf() builtins.Project {
	l := a.projectLayer()
	if l == nil {
		return builtins.Project{}
	}
	dir := filepath.Dir(l.Dir)
	if a.tests != nil { // on a machine in memory
		return builtins.Project{Dir: dir, Read: func(name string) ([]byte, error) { return a.world.Disk.Root(dir).ReadFile(name, layer.MaxFile) }}
	}
	trusted := sync.OnceValues(func() (*layer.Named, error) { return a.readNamed(l) })
	return builtins.Project{Dir: dir, Read: func(name string) ([]byte, error) {
		named, err := trusted()
		if err != nil {
			return nil, err
		}
		return readTrusted(a.world, named, name, l.Dir)
	}}
}

// projectLayer is the layer of the project whose scripts are used, nil if there is none.
func (a *app) projectLayer() *layer.Layer {
	if a.layers == nil { // what needs them says why
		return nil
	}
	for _, l := range a.layers.Layers {
		if l.Name == layer.ProjectName {
			return l
		}
	}
	return nil
}

// readNamed reads the files that the scripts in use name. A run that goes on from its
// record has its own scripts, and reads the files as they are now.
func (a *app) readNamed(l *layer.Layer) (*layer.Named, error) {
	project, err := layer.ProjectOf(l)
	if err != nil {
		return nil, err
	}
	return namedBy(a.world, project)
}

// checkNamed tells what keeps the files that the project's scripts name from being used.
func (a *app) checkNamed() error {
	l := a.projectLayer()
	if l == nil {
		return nil
	}
	named, err := a.readNamed(l)
	if err != nil {
		return err
	}
	trust, err := openTrust(a.world)
	if err != nil {
		return err
	}
	return trust.CheckNamed(named)
}

// readTrusted gives one of the files as it was read, if the user has allowed all of them. One
// that no script of the project names as a literal can't have been shown to the user.
func readTrusted(w world.World, named *layer.Named, name, scripts string) ([]byte, error) {
	if !named.Has(name) {
		return nil, engine.UsageError(fmt.Sprintf("write it as a literal, template_file = %q, or give the text itself as template", name),
			"no script in %s has template_file = %q, so kinfra trust can't show that file", scripts, name)
	}
	data, err := named.Read(name)
	if err != nil { // there is nothing to be trusted
		return nil, err
	}
	trust, err := openTrust(w)
	if err != nil {
		return nil, err
	}
	return data, trust.CheckNamed(named)
}

// namedBy reads the files outside of .kinfra/ that a project's scripts name.
func namedBy(w world.World, project *layer.Project) (*layer.Named, error) {
	scripts, err := scriptsOf(project.Layer())
	if err != nil {
		return nil, err
	}
	named, err := project.With(w, builtins.NamedFiles(scripts))
	if err != nil {
		return nil, &engine.Error{Code: engine.Usage, Message: err.Error(), Err: err,
			Next: "template_file in the project's scripts names it: let it be a plain file of the project, not larger than 1 MiB"}
	}
	return named, nil
}
