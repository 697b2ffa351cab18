package fakedocker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/world"
)

// mostRead is the most bytes that a file of a project may have.
const mostRead = 4 << 20

// Run plays the docker command.
func (e *Engine) Run(cmd world.Command) (world.Output, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	args := cmd.Args[1:]
	if slices.Equal(args, []string{"compose", "version", "--short"}) {
		return printed("2.40.3\n"), nil
	}
	if e.stopped {
		return failed("Cannot connect to the Docker daemon. Is the docker daemon running?"), nil
	}
	switch {
	case hasWords(args, "compose"):
		return e.compose(cmd)
	case hasWords(args, "volume", "rm"):
		names := args[slices.Index(args, "--")+1:]
		e.volumes = slices.DeleteFunc(e.volumes, func(v Volume) bool { return slices.Contains(names, v.Name) })
		return printed(""), nil
	case hasWords(args, "rm"):
		ids := args[slices.Index(args, "--")+1:]
		e.remove(func(c Container) bool { return slices.Contains(ids, c.ID) })
		return printed(""), nil
	case hasWords(args, "logs"):
		return printed(e.logs(func(c Container) bool { return c.ID == args[len(args)-1] })), nil
	}
	return unplayed(args)
}

func hasWords(args []string, words ...string) bool {
	return len(args) >= len(words) && slices.Equal(args[:len(words)], words)
}

func printed(text string) world.Output { return world.Output{Stdout: []byte(text)} }

func failed(format string, args ...any) world.Output {
	return world.Output{Code: 1, Stderr: []byte(fmt.Sprintf(format, args...) + "\n")}
}

// unplayed is what becomes of a command that this Engine doesn't play.
func unplayed(args []string) (world.Output, error) {
	return world.Output{}, fmt.Errorf("the fake Docker Engine doesn't play docker %s", strings.Join(args, " "))
}

func (e *Engine) logs(match func(Container) bool) string {
	text := ""
	for _, c := range e.containers {
		if match(c) {
			text += c.Logs
		}
	}
	return text
}

// project is the part of a Compose command before its subcommand.
type project struct{ name, dir, envFile, file string }

// parseProject reads it, and gives the subcommand with its arguments.
func parseProject(args []string) (p project, command []string) {
	flags := map[string]*string{"--project-name": &p.name, "--project-directory": &p.dir, "--env-file": &p.envFile, "--ansi": new(string)}
	for len(args) >= 2 {
		switch value := flags[args[0]]; {
		case args[0] == "--file":
			if p.file == "" { // the others only add mounts to it
				p.file = args[1]
			}
		case value != nil:
			*value = args[1]
		default:
			return p, args
		}
		args = args[2:]
	}
	return p, args
}

// compose plays docker compose.
func (e *Engine) compose(cmd world.Command) (world.Output, error) {
	p, command := parseProject(cmd.Args[2:])
	own := func(c Container) bool { return c.Project == p.name }
	if len(command) == 0 {
		return unplayed(cmd.Args[1:])
	}
	switch command[0] {
	case "up":
		return e.up(p, cmd.Env)
	case "down":
		e.remove(own)
		return printed(""), nil
	case "config":
		return e.config(p, cmd.Env)
	case "build":
		return printed(""), nil
	case "stop":
		for _, c := range slices.Clone(e.containers) {
			if own(c) {
				c.Outcome = Outcome{State: Exited}
				e.put(c)
			}
		}
		return printed(""), nil
	case "restart":
		for _, c := range slices.Clone(e.containers) {
			if own(c) {
				c.Outcome = e.outcome(c.Service)
				e.put(c)
			}
		}
		return printed(""), nil
	case "logs":
		return printed(e.logs(own)), nil
	case "exec":
		return printed(""), nil
	}
	return unplayed(cmd.Args[1:])
}

// outcome is what becomes of a service: all is well unless the test says otherwise.
func (e *Engine) outcome(service string) Outcome {
	if o, said := e.outcomes[service]; said {
		return o
	}
	return Outcome{State: Healthy}
}

// up starts the services of a project's file that don't run.
func (e *Engine) up(p project, environ []string) (world.Output, error) {
	m, err := e.model(p, environ)
	if err != nil {
		return failed("%v", err), nil
	}
	for _, v := range m.volumes.names {
		e.putVolume(Volume{Name: v, Project: p.name, CreatedAt: e.machine.Now()})
	}
	for _, service := range slices.Sorted(maps.Keys(m.replicas)) {
		own := slices.DeleteFunc(slices.Clone(m.ports), func(port compose.Port) bool { return port.Service != service })
		for n := range m.replicas[service] {
			e.put(Container{
				Name: fmt.Sprintf("%s-%s-%d", p.name, service, n+1), Project: p.name, Service: service, Dir: p.dir,
				Outcome: e.outcome(service), Ports: own, Volumes: m.volumes.of[service],
			})
		}
	}
	return printed(""), nil
}

// model is a project as this Engine understands its files.
type model struct {
	replicas  map[string]int
	restarted map[string]bool
	ports     []compose.Port
	volumes   volumes
}

func (e *Engine) model(p project, environ []string) (m model, err error) {
	file, env, err := e.read(p, environ)
	if err != nil {
		return m, err
	}
	r, err := file.Resolve(env)
	if err != nil {
		return m, err
	}
	if m.replicas, err = r.Replicas(); err != nil {
		return m, err
	}
	if m.restarted, err = r.Restarted(); err != nil {
		return m, err
	}
	if m.ports, err = r.Published(); err != nil {
		return m, err
	}
	m.volumes, err = e.readVolumes(p)
	return m, err
}

// config prints what kinfra reads of a project: its services and its volumes.
func (e *Engine) config(p project, environ []string) (world.Output, error) {
	m, err := e.model(p, environ)
	if err != nil {
		return failed("%v", err), nil
	}
	services, made := map[string]any{}, map[string]any{}
	for name := range m.replicas {
		services[name] = map[string]any{"image": name}
		if m.restarted[name] {
			services[name] = map[string]any{"image": name, "restart": "always"}
		}
	}
	for _, name := range m.volumes.names {
		made[name] = map[string]any{"name": name}
	}
	return printed(toJSON(map[string]any{"name": p.name, "services": services, "volumes": made})), nil
}

// volumes are those of a project by the names that Compose gives them, all and by the
// services that use them.
type volumes struct {
	names []string
	of    map[string][]string
}

// readVolumes reads the volumes of a project's file that are written as NAME:PATH.
func (e *Engine) readVolumes(p project) (volumes, error) {
	found := volumes{of: map[string][]string{}}
	data, err := e.machine.Host().ReadFile(p.file, mostRead)
	if err != nil {
		return found, err
	}
	var file struct {
		Services map[string]struct{ Volumes []any }
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return found, err
	}
	name := func(key string) string { return p.name + "_" + key }
	for _, key := range slices.Sorted(maps.Keys(file.Volumes)) {
		found.names = append(found.names, name(key))
	}
	for service, s := range file.Services {
		for _, v := range s.Volumes {
			key, _, _ := strings.Cut(fmt.Sprint(v), ":")
			if _, named := file.Volumes[key]; named {
				found.of[service] = append(found.of[service], name(key))
			}
		}
	}
	return found, nil
}

// read gives a project's file, and the variables that it sees.
func (e *Engine) read(p project, environ []string) (*compose.File, map[string]string, error) {
	data, err := e.machine.Host().ReadFile(p.envFile, mostRead)
	if err != nil {
		return nil, nil, err
	}
	env, err := envfile.Decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.envFile, err)
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	if data, err = e.machine.Host().ReadFile(p.file, mostRead); err != nil {
		return nil, nil, err
	}
	file, err := compose.Parse(data)
	return file, env, err
}
