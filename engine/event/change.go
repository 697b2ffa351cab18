package event

import "fmt"

// Change is something that a dry run would have changed. Paths are relative to the
// working directory where they are below it, and absolute elsewhere.
type Change struct {
	Step   string `json:"step,omitempty"` // in a list of all: the key of the step or check; "" outside of them
	Kind   string `json:"change"`         // write, append, mkdir, link, rename, remove, mode, run or send
	Path   string `json:"path,omitempty"`
	From   string `json:"from,omitempty"`    // of what is renamed
	Target string `json:"target,omitempty"`  // of a link
	Size   *int64 `json:"size,omitempty"`    // bytes that are written or added
	Mode   string `json:"mode,omitempty"`    // permissions, such as "0644"
	New    bool   `json:"new,omitempty"`     // nothing is there yet
	IsDir  bool   `json:"dir,omitempty"`     // of what is removed
	Files  int    `json:"files,omitempty"`   // in a directory that is removed, or made with very many
	Run    string `json:"run,omitempty"`     // a command, as one would type it
	Cwd    string `json:"cwd,omitempty"`     // its directory, where that is another than the run's
	To     string `json:"service,omitempty"` // the address to which a request is sent
}

// Text says what the change is, in words that follow "would".
func (c *Change) Text() string {
	switch c.Kind {
	case "write":
		return c.written()
	case "append":
		return fmt.Sprintf("add %s to %s", c.bytes(), c.Path)
	case "mkdir":
		if c.Files > 0 {
			return fmt.Sprintf("make the directory %s with %s (%s)", c.Path, c.files(), c.bytes())
		}
		return "make the directory " + c.Path
	case "link":
		return fmt.Sprintf("link %s to %s", c.Path, c.Target)
	case "rename":
		return fmt.Sprintf("rename %s to %s", c.From, c.Path)
	case "remove":
		switch {
		case c.Files > 0:
			return fmt.Sprintf("remove the directory %s with %s", c.Path, c.files())
		case c.IsDir:
			return "remove the directory " + c.Path
		}
		return "remove " + c.Path
	case "mode":
		return fmt.Sprintf("change the mode of %s to %s", c.Path, c.Mode)
	case "run":
		if c.Cwd != "" {
			return fmt.Sprintf("run %s in %s", c.Run, c.Cwd)
		}
		return "run " + c.Run
	case "send":
		return "send a request to " + c.To
	}
	return c.Kind + " " + c.Path
}

// written tells the mode of a new file where it isn't the usual one; that of another file
// which changes is a change of its own.
func (c *Change) written() string {
	switch {
	case !c.New:
		return fmt.Sprintf("overwrite %s (%s)", c.Path, c.bytes())
	case c.Mode != "0644":
		return fmt.Sprintf("write %s (%s, mode %s)", c.Path, c.bytes(), c.Mode)
	}
	return fmt.Sprintf("write %s (%s)", c.Path, c.bytes())
}

func (c *Change) bytes() string {
	size := int64(0)
	if c.Size != nil {
		size = *c.Size
	}
	if size == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", size)
}

func (c *Change) files() string {
	if c.Files == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", c.Files)
}
