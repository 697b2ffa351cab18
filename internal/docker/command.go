package docker

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
)

// listByCommand asks through the docker command, one process for all containers. It
// reaches Engines by TLS and by SSH.
func (e *Engine) listByCommand(ctx context.Context, label string) ([]summary, error) {
	args := []string{"ps", "--all", "--no-trunc", "--format", listFormat()}
	if label != "" {
		args = append(args, "--filter", "label="+label)
	}
	out, err := e.command(ctx, args...)
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
// id, name, image, state, status, volumes and directories in use, networks, then the labels.
func listFormat() string {
	fields := []string{"{{json .ID}}", "{{json .Names}}", "{{json .Image}}", "{{json .State}}", "{{json .Status}}", "{{json .Mounts}}", "{{json .Networks}}"}
	for _, label := range listLabels() {
		fields = append(fields, fmt.Sprintf("{{json (.Label %q)}}", label))
	}
	return "[" + strings.Join(fields, ",") + "]"
}

func listLabels() []string {
	return []string{labelProject, labelService, labelDir, labelFiles, labelOneOff}
}

func parseList(data []byte) ([]summary, error) {
	labels := listLabels()
	lines, err := Lines[[]string](data)
	if err != nil {
		return nil, err
	}
	var summaries []summary
	for _, line := range lines {
		const fields = 7
		if len(line) != fields+len(labels) {
			return nil, fmt.Errorf("reading what docker ps printed: %d fields, want %d", len(line), fields+len(labels))
		}
		name, _, _ := strings.Cut(line[1], ",") // then names by old links
		s := summary{ID: line[0], Names: []string{name}, Image: line[2], State: line[3], Status: line[4], Labels: map[string]string{}}
		s.Mounts = parseMounts(line[5])
		s.NetworkSettings.Networks = map[string]struct{}{}
		for network := range strings.SplitSeq(line[6], ",") {
			if network != "" {
				s.NetworkSettings.Networks[network] = struct{}{}
			}
		}
		for i, label := range labels {
			s.Labels[label] = line[fields+i]
		}
		summaries = append(summaries, s)
	}
	return summaries, nil
}

// parseMounts reads volumes and directories, separated by commas.
func parseMounts(list string) (volumes []mountAnswer) {
	for mount := range strings.SplitSeq(list, ",") {
		if mount != "" && !strings.Contains(mount, "/") { // the others are directories
			volumes = append(volumes, mountAnswer{Type: "volume", Name: mount})
		}
	}
	return volumes
}
