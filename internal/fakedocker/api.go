package fakedocker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// serve answers one request: the list of containers, whose filter asks for nothing
// more than that Compose made them, that of volumes or of networks, or an image.
func (e *Engine) serve(request io.Reader) ([]byte, error) {
	line, err := bufio.NewReader(request).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	_, target, _ := strings.Cut(strings.TrimSpace(line), " ")
	target, _, _ = strings.Cut(target, " ")
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	body := ""
	switch {
	case u.Path == "/containers/json":
		body = e.list()
	case u.Path == "/volumes":
		body = e.listVolumes()
	case u.Path == "/networks":
		body = "[]"
	case strings.HasPrefix(u.Path, "/images/"):
		body = "{}"
	default:
		return []byte("HTTP/1.0 404 Not Found\r\n\r\n"), nil
	}
	return []byte("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body), nil
}

// listVolumes is the volumes as the Engine's API has them.
func (e *Engine) listVolumes() string {
	all := []map[string]any{}
	for _, v := range e.Volumes() {
		labels := map[string]string{}
		if v.Project != "" {
			labels["com.docker.compose.project"] = v.Project
		}
		all = append(all, map[string]any{"Name": v.Name, "CreatedAt": v.CreatedAt.UTC().Format(time.RFC3339), "Labels": labels})
	}
	return toJSON(map[string]any{"Volumes": all})
}

func toJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers have a JSON form
	}
	return string(data)
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
		mounts := []map[string]string{}
		for _, name := range c.Volumes {
			mounts = append(mounts, map[string]string{"Type": "volume", "Name": name})
		}
		all = append(all, map[string]any{
			"Mounts": mounts,
			"Id":     c.ID, "Names": []string{"/" + c.Name}, "Image": c.Service, "State": state, "Status": status, "Ports": ports,
			"Labels": map[string]string{
				"com.docker.compose.project":             c.Project,
				"com.docker.compose.service":             c.Service,
				"com.docker.compose.project.working_dir": c.Dir,
			},
		})
	}
	return toJSON(all)
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
