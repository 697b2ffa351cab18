package fakedocker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// serve answers one request: the list of containers, whose filter asks for nothing
// more than that Compose made them.
func (e *Engine) serve(request io.Reader) ([]byte, error) {
	line, err := bufio.NewReader(request).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	_, target, _ := strings.Cut(strings.TrimSpace(line), " ")
	target, _, _ = strings.Cut(target, " ")
	if u, err := url.Parse(target); err != nil || !strings.HasSuffix(u.Path, "/containers/json") {
		return []byte("HTTP/1.0 404 Not Found\r\n\r\n"), nil
	}
	return []byte("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + e.list()), nil
}

// list is the containers as the Engine's API has them.
func (e *Engine) list() string {
	all := []map[string]any{}
	for _, c := range e.Containers() {
		state, status := c.words()
		ports := []map[string]any{}
		for _, p := range c.Ports {
			if state == "running" {
				ports = append(ports, map[string]any{"IP": p.HostIP, "PrivatePort": p.Target, "PublicPort": p.Published, "Type": p.Protocol})
			}
		}
		all = append(all, map[string]any{
			"Id": c.ID, "Names": []string{"/" + c.Name}, "Image": c.Service, "State": state, "Status": status, "Ports": ports,
			"Labels": map[string]string{
				"com.docker.compose.project":             c.Project,
				"com.docker.compose.service":             c.Service,
				"com.docker.compose.project.working_dir": c.Dir,
			},
		})
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings and numbers have a JSON form
	}
	return string(data)
}

// words is a state in the Engine's words.
func (o Outcome) words() (state, status string) {
	switch o.State {
	case Healthy:
		return "running", "Up 3 seconds (healthy)"
	case Starting:
		return "running", "Up 3 seconds (health: starting)"
	case Unhealthy:
		return "running", "Up 3 seconds (unhealthy)"
	case Restarting:
		return "restarting", fmt.Sprintf("Restarting (%d) 1 second ago", o.Code)
	case Exited:
		return "exited", fmt.Sprintf("Exited (%d) 1 second ago", o.Code)
	}
	return "running", "Up 3 seconds"
}
