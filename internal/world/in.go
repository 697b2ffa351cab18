package world

// In is the world w with another working directory, an absolute path.
func In(w World, dir string) World {
	w.Env = elsewhere{w.Env, dir}
	return w
}

type elsewhere struct {
	env Environment
	dir string
}

func (e elsewhere) WorkDir() (string, error) { return e.dir, nil }

func (e elsewhere) Getenv(name string) (string, bool) { return e.env.Getenv(name) }
func (e elsewhere) Environ() []string                 { return e.env.Environ() }
func (e elsewhere) Executable() (string, error)       { return e.env.Executable() }
func (e elsewhere) UserID() int                       { return e.env.UserID() }
func (e elsewhere) Hostname() string                  { return e.env.Hostname() }
func (e elsewhere) Random(b []byte)                   { e.env.Random(b) }
