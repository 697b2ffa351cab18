package builtins

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
)

// template is the text of a pool's compose file. One that is a file of the project is
// read only when it is asked for: a branch that lacks it, has a broken one, or one that
// the user hasn't allowed, can use the slots that there are all the same.
type template struct {
	text    string
	file    string // a path within the project; empty for a text
	project Project
}

// Project is the project whose scripts are used.
type Project struct {
	Dir string // empty if none is

	// Read gives the content of a file by one of the names that NamedFiles finds, if the
	// user has allowed it, and else a layer.UntrustedError.
	Read func(name string) ([]byte, error)
}

// NamedFiles is the files of a project that its scripts name as the template of a pool, by
// clean paths within the project. It is found without running the scripts, so only a
// name that stands in one as a literal is among them.
func NamedFiles(scripts []layer.File) []string {
	var names []string
	for _, file := range scripts {
		for _, literal := range engine.Literals(file, "template_file") {
			if name, ok := projectPath(literal); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// projectPath is a path within the project as scripts give it, in the form that names
// the file everywhere.
func projectPath(file string) (name string, ok bool) {
	name = path.Clean(file)
	return name, layer.CheckName(name) == nil
}

// shown is how messages name the file, after a space; "" for a text.
func (t template) shown() string {
	if t.file == "" {
		return ""
	}
	return " " + filepath.Join(t.project.Dir, t.file)
}

func (t template) read() (string, error) {
	if t.file == "" {
		return t.text, nil
	}
	data, err := t.project.Read(t.file)
	if err == nil {
		return string(data), nil
	}
	_, coded := errors.AsType[*engine.Error](err)
	if _, untrusted := errors.AsType[*layer.UntrustedError](err); untrusted || coded {
		return "", err // it says all
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return "", &engine.Error{Code: engine.Usage, Err: err, Message: fmt.Sprintf("reading the template%s: %v", t.shown(), err),
		Next: "template_file in pool.star names it, by its path from the directory that has .kinfra/"}
}

// setTemplate takes the compose file from one of the two parameters that may say it.
func (p *Pool) setTemplate(c *table.Call, project Project) error {
	if c.Has("template") == c.Has("template_file") {
		return errors.New("want one of template and template_file")
	}
	if c.Has("template") {
		p.template = template{text: c.String("template")}
		return nil
	}
	file := c.String("template_file")
	name, ok := projectPath(file)
	if !ok {
		return fmt.Errorf("template_file is %q: want a path within the project", file)
	}
	if project.Dir == "" {
		return &engine.Error{Code: engine.Usage, Message: fmt.Sprintf("template_file is %q, but the working directory is in no project with a .kinfra/", file),
			Next: "work in the project, or give the text itself as template"}
	}
	p.template = template{file: name, project: project}
	return nil
}

func (p *Pool) setProjectDir(dir string) error {
	if dir != "" && !filepath.IsLocal(dir) {
		return fmt.Errorf(`project_directory is %q: want a path within the worktree, such as "."`, dir)
	}
	p.projectDir = dir
	return nil
}
