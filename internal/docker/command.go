package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// listByCommand asks through the docker command, one process for all containers. It
// reaches Engines by TLS and by SSH. What it can't tell are the volumes in use.
func (e *Engine) listByCommand(ctx context.Context, label string) ([]summary, error) {
	args := []string{"docker", "ps", "--all", "--no-trunc", "--format", listFormat()}
	if label != "" {
		args = append(args, "--filter", "label="+label)
	}
	dir, err := e.world.Env.WorkDir()
	if err != nil {
		dir = "/"
	}
	out, err := e.world.Processes.Run(ctx, world.Command{Args: args, Dir: dir, Env: world.CleanEnv(e.world), ReadOnly: true, Timeout: listTimeout})
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err := &UnavailableError{Host: e.endpoint.Host, Origin: e.endpoint.Origin, Reason: "the docker command, which is needed for this kind of address, is not there", Err: err}
		return nil, hint.Wrap(err, "install docker's command line")
	case err != nil:
		return nil, e.unavailable(err)
	case out.Code != 0:
		return nil, e.unavailable(errors.New(strings.TrimSpace(string(out.Stderr))))
	}
	summaries, err := parseList(out.Stdout)
	if err != nil {
		return nil, e.unavailable(err)
	}
	return summaries, nil
}

// listFormat is a template that makes docker print one JSON array a container: its
// id, name, image, state, status, ports, volumes, then the labels.
func listFormat() string {
	fields := []string{"{{json .ID}}", "{{json .Names}}", "{{json .Image}}", "{{json .State}}", "{{json .Status}}"}
	for _, label := range listLabels() {
		fields = append(fields, fmt.Sprintf("{{json (.Label %q)}}", label))
	}
	return "[" + strings.Join(fields, ",") + "]"
}

func listLabels() []string {
	return []string{labelProject, labelService, labelDir, labelFiles, labelOneOff, labelDependsOn}
}

func parseList(data []byte) ([]summary, error) {
	labels := listLabels()
	var summaries []summary
	lines := json.NewDecoder(bytes.NewReader(data))
	for {
		var line []string
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return summaries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what docker ps printed: %w", err)
		}
		const fields = 5
		if len(line) != fields+len(labels) {
			return nil, fmt.Errorf("reading what docker ps printed: %d fields, want %d", len(line), fields+len(labels))
		}
		name, _, _ := strings.Cut(line[1], ",") // then names by old links
		s := summary{ID: line[0], Names: []string{name}, Image: line[2], State: line[3], Status: line[4], Labels: map[string]string{}}
		for i, label := range labels {
			s.Labels[label] = line[fields+i]
		}
		summaries = append(summaries, s)
	}
}
