package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// Volume is a volume of the Engine.
type Volume struct {
	Name    string
	Project string // of Compose; empty if Compose didn't make it

	// CreatedAt is the time at which it was made, in the Engine's words and in whole
	// seconds; empty where its driver doesn't say. Engines before version 23 give the
	// time of the last change of its top directory instead.
	CreatedAt string
}

// Volumes lists all volumes, sorted by name. It is one request, whatever their number.
func (e *Engine) Volumes(ctx context.Context) ([]Volume, error) {
	list := e.volumesByCommand
	if e.endpoint.direct() {
		list = e.volumesDirectly
	}
	answers, err := list(ctx)
	if err != nil {
		return nil, err
	}
	volumes := make([]Volume, len(answers))
	for i, a := range answers {
		volumes[i] = Volume{Name: a.Name, Project: a.Labels[labelProject], CreatedAt: a.CreatedAt}
	}
	slices.SortFunc(volumes, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	return volumes, nil
}

// volumeAnswer is a volume in the Engine's answer, as far as it is of interest here.
type volumeAnswer struct {
	Name      string
	CreatedAt string
	Labels    map[string]string
}

func (e *Engine) volumesDirectly(ctx context.Context) ([]volumeAnswer, error) {
	body, err := e.get(ctx, "/volumes")
	if err != nil {
		return nil, e.unavailable(err)
	}
	var answer struct{ Volumes []volumeAnswer }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, e.unavailable(fmt.Errorf("its answer is not a list of volumes: %w", err))
	}
	return answer.Volumes, nil
}

// volumesByCommand asks through the docker command. Its list lacks the times, so it
// takes two processes.
func (e *Engine) volumesByCommand(ctx context.Context) ([]volumeAnswer, error) {
	out, err := e.command(ctx, "volume", "ls", "--format", "{{json .Name}}")
	if err == nil && out.Code != 0 {
		err = errors.New(strings.TrimSpace(string(out.Stderr)))
	}
	if err != nil {
		return nil, e.unavailable(err)
	}
	names, err := Lines[string](out.Stdout)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	out, err = e.command(ctx, append([]string{"volume", "inspect", "--format", "{{json .}}", "--"}, names...)...)
	if err != nil {
		return nil, e.unavailable(err)
	}
	if out.Code != 0 && !strings.Contains(strings.ToLower(string(out.Stderr)), "no such volume") { // it has gone meanwhile
		return nil, e.unavailable(errors.New(strings.TrimSpace(string(out.Stderr))))
	}
	return Lines[volumeAnswer](out.Stdout)
}

// Network is a network of the Engine.
type Network struct{ ID, Name string }

// Networks lists the networks that Compose made for a project.
func (e *Engine) Networks(ctx context.Context, project string) ([]Network, error) {
	filter := labelProject + "=" + project
	if e.endpoint.direct() {
		query := url.Values{"filters": {`{"label":[` + strconv.Quote(filter) + `]}`}}
		body, err := e.get(ctx, "/networks?"+query.Encode())
		if err != nil {
			return nil, e.unavailable(err)
		}
		var answer []struct {
			ID   string `json:"Id"`
			Name string
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, e.unavailable(fmt.Errorf("its answer is not a list of networks: %w", err))
		}
		var networks []Network
		for _, n := range answer {
			networks = append(networks, Network{n.ID, n.Name})
		}
		return networks, nil
	}
	out, err := e.command(ctx, "network", "ls", "--no-trunc", "--format", `{"ID":{{json .ID}},"Name":{{json .Name}}}`, "--filter", "label="+filter)
	if err == nil && out.Code != 0 {
		err = errors.New(strings.TrimSpace(string(out.Stderr)))
	}
	if err != nil {
		return nil, e.unavailable(err)
	}
	return Lines[Network](out.Stdout)
}

// HasImage tells whether the Engine has an image.
func (e *Engine) HasImage(ctx context.Context, name string) (bool, error) {
	missing := func(text string) bool { return strings.Contains(strings.ToLower(text), "no such image") }
	if e.endpoint.direct() {
		_, err := e.get(ctx, "/images/"+(&url.URL{Path: name}).EscapedPath()+"/json")
		if err != nil && missing(err.Error()) {
			return false, nil
		}
		if err != nil {
			return false, e.unavailable(err)
		}
		return true, nil
	}
	out, err := e.command(ctx, "image", "inspect", "--format", "{{json .Id}}", "--", name)
	switch {
	case err != nil:
		return false, e.unavailable(err)
	case out.Code == 0:
		return true, nil
	case missing(string(out.Stderr)):
		return false, nil
	}
	return false, e.unavailable(errors.New(strings.TrimSpace(string(out.Stderr))))
}

// command runs a docker command that only reads.
func (e *Engine) command(ctx context.Context, args ...string) (world.Output, error) {
	dir, err := e.world.Env.WorkDir()
	if err != nil {
		dir = "/"
	}
	return e.world.Processes.Run(ctx, world.Command{
		Args: append([]string{"docker"}, args...), Dir: dir, Env: world.CleanEnv(e.world), ReadOnly: true, Timeout: listTimeout,
	})
}
