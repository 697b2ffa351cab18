package builtins

import (
	"fmt"
	"maps"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/compose"
)

// composeReader keeps the file that was parsed last, and what it came to: scripts ask
// several things of one text, and the slots of a pool all have the same.
type composeReader struct {
	mu       sync.Mutex
	text     string
	file     *compose.File
	env      map[string]string
	resolved *compose.Resolved // file under env; nil: not yet
}

// composeModule reads compose files as Compose itself resolves them.
func composeModule() table.Module {
	reader := &composeReader{}
	text := table.Param{Name: "text", Type: table.String(), Help: "the compose file"}
	env := table.Param{Name: "env", Type: table.Dict(), Optional: true, Help: "the variables: a dict of strings or ints; none if left out"}
	const errs = "A text that isn't a compose file; what goes beyond the one file (include, extends of another file)."
	return table.Module{
		Name: "compose", Doc: "Compose files: their variables, services and published ports, as `docker compose config` resolves them.",
		Builtins: []table.Builtin{
			{
				Name: "compose.services", Expects: true, Doc: "Gives the names of the services that are active, in the file's order.",
				Params: []table.Param{text, env}, Result: "a list of strings", Errors: errs, Run: reader.services,
				Example: `text = "services: {web: {image: nginx}, job: {profiles: [batch]}}"
compose.services(text)  # -> ["web"]
compose.services(text, {"COMPOSE_PROFILES": "batch"})  # -> ["web", "job"]`,
			},
			{
				Name: "compose.variables", Expects: true, Doc: "Gives the variables that the file's values refer to, in the order of their first use.",
				Params: []table.Param{text}, Errors: errs, Run: reader.variables,
				Result: "a list of `struct(name, default, required, line)`; `default` is None where no reference gives one",
				Example: `text = "services: {web: {image: 'nginx:${TAG:-latest}'}}"
[(v.name, v.default) for v in compose.variables(text)]
# -> [("TAG", "latest")]`,
			},
			{
				Name: "compose.published", Expects: true, Doc: "Gives the ports that the active services publish, ranges one by one, in the file's order.",
				Params: []table.Param{text, env}, Run: reader.published,
				Result: "a list of `struct(service, host_ip, published, target, protocol, variables, line)`; `published` is 0 for a port that Docker chooses",
				Errors: errs + " A variable that is required and not set; a port that Compose refuses.",
				Example: `text = "services: {web: {image: nginx, ports: ['${PORT}:80']}}"
[(p.published, p.target) for p in compose.published(text, {"PORT": 7001})]
# -> [(7001, 80)]`,
			},
		},
	}
}

func (r *composeReader) read(text string) (*compose.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil && r.text == text {
		return r.file, nil
	}
	file, err := compose.Parse([]byte(text))
	if err == nil {
		r.text, r.file, r.resolved = text, file, nil
	}
	return file, err
}

// resolve gives the file of a call under its environment.
func (r *composeReader) resolve(c *table.Call) (*compose.Resolved, error) {
	file, err := r.read(c.String("text"))
	if err != nil {
		return nil, err
	}
	env, err := stringMap(c.Dict("env"))
	if err != nil {
		return nil, fmt.Errorf("env: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == file && r.resolved != nil && maps.Equal(r.env, env) {
		return r.resolved, nil
	}
	resolved, err := file.Resolve(env)
	if err == nil && r.file == file {
		r.env, r.resolved = env, resolved
	}
	return resolved, err
}

func (r *composeReader) services(c *table.Call) (starlark.Value, error) {
	resolved, err := r.resolve(c)
	if err != nil {
		return nil, fmt.Errorf("compose.services: %w", err)
	}
	return engine.List(resolved.Services(), stringValue), nil
}

func (r *composeReader) variables(c *table.Call) (starlark.Value, error) {
	file, err := r.read(c.String("text"))
	if err != nil {
		return nil, fmt.Errorf("compose.variables: %w", err)
	}
	return engine.List(file.Variables(), func(v compose.Variable) starlark.Value {
		var standard starlark.Value = starlark.None
		if v.HasDefault {
			standard = starlark.String(v.Default)
		}
		return engine.Struct("name", v.Name, "default", standard, "required", v.Required, "line", v.Line)
	}), nil
}

func (r *composeReader) published(c *table.Call) (starlark.Value, error) {
	resolved, err := r.resolve(c)
	if err != nil {
		return nil, fmt.Errorf("compose.published: %w", err)
	}
	published, err := resolved.Published()
	if err != nil {
		return nil, fmt.Errorf("compose.published: %w", err)
	}
	return engine.List(published, func(p compose.Port) starlark.Value {
		return engine.Struct("service", p.Service, "host_ip", p.HostIP, "published", p.Published, "target", p.Target,
			"protocol", p.Protocol, "variables", engine.List(p.Variables, stringValue), "line", p.Line)
	}), nil
}
