package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/lastwords"
	"github.com/ktrdr/kinfra/internal/world"
)

// args is a Compose command about the stack, and about nothing else.
func (s Stack) args(command ...string) []string {
	args := []string{"docker", "compose", "--project-name", s.Project, "--project-directory", cmp.Or(s.BaseDir, s.Dir)}
	if s.BaseEnv != "" {
		args = append(args, "--env-file", s.BaseEnv)
	}
	args = append(args, "--env-file", s.EnvFile) // of a variable that stands in both, the later counts
	for _, file := range s.Files {
		args = append(args, "--file", file)
	}
	return append(args, command...)
}

// command is a Compose command as a process that may take a time.
func (s Stack) command(w world.World, timeout time.Duration, command ...string) world.Command {
	return world.Command{Args: s.args(command...), Dir: s.Dir, Env: s.environment(w, false), Timeout: timeout}
}

// runCompose runs a Compose command whose output only matters to those who watch, and when it
// fails. follow is told what it prints, as [Options] have it; it may be nil.
func (s Stack) runCompose(ctx context.Context, w world.World, timeout time.Duration, follow func(world.Stream, []byte), command ...string) error {
	_, err := s.composeOutput(ctx, w, timeout, follow, command...)
	return err
}

// composeOutput runs a Compose command and gives what it printed.
func (s Stack) composeOutput(ctx context.Context, w world.World, timeout time.Duration, follow func(world.Stream, []byte), command ...string) ([]byte, error) {
	args := append([]string{"--ansi", "never"}, command...)
	cmd := s.command(w, timeout, args...)
	cmd.Env = s.environment(w, command[0] == "up" || command[0] == "build")
	cmd.ReadOnly = command[0] == "config"
	follower := &follower{follow, map[world.Stream][]byte{}}
	cmd.Follow = follower.print
	out, err := w.Processes.Run(ctx, cmd)
	follower.end()
	if err != nil {
		return nil, fmt.Errorf("docker compose %s for project %s: %w", command[0], s.Project, err)
	}
	if out.Code != 0 {
		what := fmt.Sprintf("docker compose %s for project %s ended with code %d", command[0], s.Project, out.Code)
		return nil, errors.New(lastwords.Message(what, lastwords.Lines(s.masked(out.Stdout), s.masked(out.Stderr))))
	}
	return out.Stdout, nil
}

// lastLines is the end of what a process printed.
func lastLines(output []byte, most int) string {
	text := strings.ToValidUTF8(string(output), "\uFFFD")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// pluginName is Compose among the plugins of the docker command; plugins there are
// of version 2 or later, since 1.x was a program of its own.
const pluginName = "docker-compose"

// CheckCompose tells whether there is Docker Compose v2, else an ErrNoCompose. It
// looks for the plugin where the docker command does, and runs a process only if
// it isn't there.
func CheckCompose(ctx context.Context, w world.World) error {
	config, err := docker.ReadConfig(w)
	if err != nil {
		return err
	}
	if _, ok := findProgram(w, "docker", searchPath(w)); ok {
		if _, ok := findProgram(w, pluginName, pluginDirs(w, config)); ok {
			return nil
		}
	}
	return askForCompose(ctx, w)
}

// pluginDirs are the directories in which the docker command looks for plugins.
func pluginDirs(w world.World, config docker.Config) []string {
	dirs := append([]string{filepath.Join(docker.ConfigDir(w), "cli-plugins")}, config.CLIPluginsExtraDirs...)
	for _, base := range []string{"/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"} {
		dirs = append(dirs, filepath.Join(base, "docker", "cli-plugins"))
	}
	return dirs
}

func searchPath(w world.World) []string {
	path, _ := w.Env.Getenv("PATH")
	return filepath.SplitList(path)
}

// findProgram looks for a program in directories. A link counts: what it leads to
// will show when it is run.
func findProgram(w world.World, name string, dirs []string) (path string, ok bool) {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := w.Disk.Host().Lstat(path)
		if err == nil && !info.Mode.IsDir() && info.Mode.Perm()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

// askForCompose asks the docker command, and says what there is instead.
func askForCompose(ctx context.Context, w world.World) error {
	version := func(args ...string) (string, error) {
		out, err := w.Processes.Run(ctx, world.Command{
			Args: append(args, "version", "--short"), Dir: "/", Env: world.CleanEnv(w), ReadOnly: true, Timeout: 10 * time.Second,
		})
		if err == nil && out.Code != 0 {
			err = errors.New(lastLines(out.Stderr, 1))
		}
		return strings.TrimPrefix(strings.TrimSpace(string(out.Stdout)), "v"), err
	}
	const cure = "install the Compose plugin of docker: https://docs.docker.com/compose/install"
	found, err := version("docker", "compose")
	switch {
	case err == nil && !strings.HasPrefix(found, "1."):
		return nil
	case err == nil:
		return hint.Wrap(fmt.Errorf("%w: docker compose is version %s", ErrNoCompose, found), cure)
	case ctx.Err() != nil:
		return err
	case errors.Is(err, exec.ErrNotFound):
		return hint.Wrap(fmt.Errorf("%w: there is no docker command in PATH", ErrNoCompose), cure)
	}
	if old, oldErr := version(pluginName); oldErr == nil {
		return hint.Wrap(fmt.Errorf("%w: there is only the program docker-compose, version %s", ErrNoCompose, old), cure)
	}
	return hint.Wrap(fmt.Errorf("%w: %w", ErrNoCompose, err), cure)
}
