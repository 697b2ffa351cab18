package dockertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed images.json
var imageList []byte

//go:embed testdata/fakeservice/main.go
var program []byte

// image is an image that is made here.
type image struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Env     []string `json:"env"`
}

// label marks the images that are made here. Its value tells one version from others.
const label = "kinfra.fake"

func images() ([]image, error) {
	var list []image
	err := json.Unmarshal(imageList, &list)
	return list, err
}

// Install makes the images that are missing on the Engine or out of date, and returns
// the names of those and of the ones it found to be somebody else's, which it leaves
// alone: a real database is better than a fake one. It takes a second or two the
// first time, and next to nothing after that.
func Install(ctx context.Context) (installed, foreign []string, err error) {
	list, err := images()
	if err != nil {
		return nil, nil, err
	}
	there, err := versions(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	wanted := version()
	var missing []image
	for _, i := range list {
		switch found, ok := there[i.Name]; {
		case ok && found == "":
			foreign = append(foreign, i.Name)
		case found != wanted:
			missing = append(missing, i)
			installed = append(installed, i.Name)
		}
	}
	if len(missing) == 0 {
		return nil, foreign, nil
	}
	arch, err := docker(ctx, nil, "version", "--format", "{{.Server.Arch}}")
	if err != nil {
		return nil, nil, err
	}
	binary, err := build(ctx, strings.TrimSpace(arch))
	if err != nil {
		return nil, nil, err
	}
	packed, err := archive(missing, binary, strings.TrimSpace(arch), wanted)
	if err != nil {
		return nil, nil, err
	}
	_, err = docker(ctx, packed, "load", "--quiet")
	return installed, foreign, err
}

// Remove removes the images that were made here, and returns their names.
func Remove(ctx context.Context) ([]string, error) {
	list, err := images()
	if err != nil {
		return nil, err
	}
	there, err := versions(ctx, list)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range list {
		if there[i.Name] != "" {
			names = append(names, i.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	_, err = docker(ctx, nil, append([]string{"image", "rm", "--force", "--"}, names...)...)
	return names, err
}

// version changes with the program and the list.
func version() string {
	sum := sha256.Sum256(append(append([]byte{}, program...), imageList...))
	return hex.EncodeToString(sum[:8])
}

// versions are the labels of those images that the Engine has; an image without that
// label has an empty one.
func versions(ctx context.Context, list []image) (map[string]string, error) {
	args := []string{"image", "inspect", "--format", `{{json .RepoTags}} {{json .Config.Labels}}`, "--"}
	for _, i := range list {
		args = append(args, i.Name)
	}
	out, err := docker(ctx, nil, args...)
	if err != nil && !strings.Contains(strings.ToLower(err.Error()), "no such image") {
		return nil, err
	}
	there := map[string]string{}
	for line := range strings.Lines(out) {
		if strings.TrimSpace(line) == "" {
			continue // printed where there is no image at all
		}
		var tags []string
		var labels map[string]string
		lines := json.NewDecoder(strings.NewReader(line))
		if err := errors.Join(lines.Decode(&tags), lines.Decode(&labels)); err != nil {
			return nil, fmt.Errorf("reading what docker image inspect printed: %w", err)
		}
		for _, tag := range tags {
			there[tag] = labels[label]
		}
	}
	return there, nil
}

// build compiles the program for the Engine's machine. The source is in this binary,
// so that it is found wherever the test runs.
func build(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kinfra-images")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), program, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "fakeservice", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the program of the images: %w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "fakeservice"))
}

// docker runs the docker command and returns what it printed, also when it fails.
func docker(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
