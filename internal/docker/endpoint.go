package docker

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Endpoint is where an Engine listens.
type Endpoint struct {
	Host   string // unix://PATH, tcp://HOST:PORT or ssh://…
	Origin string // where that is from: "DOCKER_HOST", "the docker context desktop-linux"; empty for the default
	TLS    bool   // whether it is to be spoken to by TLS
}

const (
	defaultHost    = "unix:///var/run/docker.sock"
	defaultContext = "default"
	configLimit    = 1 << 20 // bytes of a file of docker's configuration
)

// Locate finds the Engine that the docker command talks to, by its rules: the
// variable DOCKER_HOST; the context that DOCKER_CONTEXT names, or else `docker
// context use` has chosen; the default socket. A context that isn't there, or a
// configuration that can't be read, is an ErrUnavailable.
func Locate(w world.World) (Endpoint, error) {
	if host := getenv(w, "DOCKER_HOST"); host != "" {
		return Endpoint{Host: host, Origin: "DOCKER_HOST", TLS: getenv(w, "DOCKER_TLS_VERIFY") != ""}, nil
	}
	name, origin := getenv(w, "DOCKER_CONTEXT"), "DOCKER_CONTEXT"
	if name == "" {
		config, err := ReadConfig(w)
		if err != nil {
			return Endpoint{}, err
		}
		name, origin = config.CurrentContext, filepath.Join(ConfigDir(w), configName)
	}
	if name == "" || name == defaultContext {
		return Endpoint{Host: defaultHost, TLS: getenv(w, "DOCKER_TLS_VERIFY") != ""}, nil
	}
	return contextEndpoint(w, name, origin)
}

// configName is docker's configuration in its directory.
const configName = "config.json"

// Config is what kinfra needs to know of docker's configuration.
type Config struct {
	CurrentContext      string   `json:"currentContext"`
	CLIPluginsExtraDirs []string `json:"cliPluginsExtraDirs"`
}

// ReadConfig reads docker's configuration. There need not be one. One that can't be
// read is an ErrUnavailable.
func ReadConfig(w world.World) (Config, error) {
	var config Config
	path := filepath.Join(ConfigDir(w), configName)
	err := readJSON(w, path, &config)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, &UnavailableError{Host: "the current context", Reason: err.Error(), Err: err}
	}
	return config, nil
}

// ConfigDir is the directory of docker's configuration: DOCKER_CONFIG, or .docker in
// the user's home.
func ConfigDir(w world.World) string {
	return cmp.Or(getenv(w, "DOCKER_CONFIG"), filepath.Join(getenv(w, "HOME"), ".docker"))
}

// contextEndpoint reads the context's file, which is kept under the hash of its name.
func contextEndpoint(w world.World, name, origin string) (Endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	path := filepath.Join(ConfigDir(w), "contexts", "meta", id, "meta.json")
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	err := readJSON(w, path, &meta)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no such context (%w)", err)
	}
	host := meta.Endpoints["docker"].Host
	if err == nil && host == "" {
		err = fmt.Errorf("%s names no host", path)
	}
	if err != nil {
		err := &UnavailableError{Host: "the context " + name, Origin: origin, Reason: err.Error(), Err: err}
		return Endpoint{}, hint.Wrap(err, "docker context ls shows the contexts, docker context use chooses one")
	}
	tlsDir := filepath.Join(ConfigDir(w), "contexts", "tls", id)
	_, err = w.Disk.Host().Lstat(tlsDir)
	return Endpoint{Host: host, Origin: "the docker context " + name, TLS: err == nil}, nil
}

func readJSON(w world.World, path string, into any) error {
	data, err := w.Disk.Host().ReadFile(path, configLimit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func getenv(w world.World, name string) string {
	value, _ := w.Env.Getenv(name)
	return value
}

// direct tells whether the Engine can be spoken to without the docker command.
func (e Endpoint) direct() bool {
	network, _ := e.address()
	return network == "unix" || network == "tcp" && !e.TLS
}

// Local tells whether the Engine publishes ports on this machine, as far as its
// address says.
func (e *Engine) Local() bool {
	network, address := e.endpoint.address()
	if network == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return e.endpoint.direct() && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// address is what to connect to; the network is empty if that isn't known.
func (e Endpoint) address() (network, address string) {
	scheme, rest, _ := strings.Cut(e.Host, "://")
	switch scheme {
	case "unix":
		return "unix", rest
	case "tcp":
		host, _, _ := strings.Cut(rest, "/")
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "2375") // the port of an Engine without TLS
		}
		return "tcp", host
	}
	return "", ""
}
