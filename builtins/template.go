package builtins

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// template is the text of a pool's compose file. One that is a file of the project is
// read only when it is asked for: a branch that lacks it, or has a broken one, can use
// the slots that there are all the same.
type template struct {
	text  string
	file  string // a path within dir; empty for a text
	dir   string
	files world.Files
}

// maxTemplate is the most bytes of a compose file.
const maxTemplate = 1 << 20

// shown is how messages name the file, after a space; "" for a text.
func (t template) shown() string {
	if t.file == "" {
		return ""
	}
	return " " + filepath.Join(t.dir, t.file)
}

func (t template) read() (string, error) {
	if t.file == "" {
		return t.text, nil
	}
	data, err := t.files.ReadFile(t.file, maxTemplate)
	if err == nil {
		return string(data), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return "", &engine.Error{Code: engine.Usage, Err: err,
		Message: fmt.Sprintf("reading the template %s: %v", filepath.Join(t.dir, t.file), err),
		Next:    "template_file in pool.star names it, by its path from the directory that has .kinfra/"}
}

// setTemplate takes the compose file from one of the two parameters that may say it.
func (p *Pool) setTemplate(c *table.Call, project string) error {
	switch file := c.String("template_file"); {
	case c.Has("template") == c.Has("template_file"):
		return errors.New("want one of template and template_file")
	case c.Has("template"):
		p.template = template{text: c.String("template")}
	case !filepath.IsLocal(file) || path.Clean(file) == ".":
		return fmt.Errorf("template_file is %q: want a path within the project", file)
	case project == "":
		return &engine.Error{Code: engine.Usage, Message: fmt.Sprintf("template_file is %q, but the working directory is in no project with a .kinfra/", file),
			Next: "work in the project, or give the text itself as template"}
	default:
		p.template = template{file: file, dir: project, files: engine.World(c.Thread).Root(project)}
	}
	return nil
}

func (p *Pool) setProjectDir(dir string) error {
	if dir != "" && !filepath.IsLocal(dir) {
		return fmt.Errorf(`project_directory is %q: want a path within the worktree, such as "."`, dir)
	}
	p.projectDir = dir
	return nil
}
