package compose_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/compose"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// sample is a Compose file of testdata. Comments at its top say under which
// environment it is resolved (# env: KEY=value) and what the error is to say
// (# error: text).
type sample struct {
	path string
	data []byte
	env  map[string]string
	err  string
}

// samples reads testdata's files that match a pattern, at least so many.
func samples(t *testing.T, pattern string, least int) []sample {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < least {
		t.Fatalf("testdata/%s: %d files, want at least %d", pattern, len(paths), least)
	}
	var all []sample
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{path: path, data: data, env: map[string]string{}}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if env, ok := strings.CutPrefix(line, "# env: "); ok {
				key, value, _ := strings.Cut(env, "=")
				s.env[key] = value
			} else if text, ok := strings.CutPrefix(line, "# error: "); ok {
				s.err = text
			}
		}
		all = append(all, s)
	}
	return all
}

// name is the file's name without folders and suffix.
func (s sample) name() string {
	return strings.TrimSuffix(filepath.Base(s.path), ".yml")
}

// resolve parses s and returns its active services and published ports.
func (s sample) resolve() ([]string, []compose.Port, error) {
	f, err := compose.Parse(s.data)
	if err != nil {
		return nil, nil, err
	}
	services, err := f.Services(s.env)
	if err != nil {
		return nil, nil, err
	}
	ports, err := f.Published(s.env)
	return services, ports, err
}

// TestGolden compares the corpus with what is committed beside it, so that it
// checks something where Compose is not installed.
func TestGolden(t *testing.T) {
	for _, s := range samples(t, "*.yml", 30) {
		t.Run(s.name(), func(t *testing.T) {
			services, ports, err := s.resolve()
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			fmt.Fprintf(&got, "services: %s\n", strings.Join(services, " "))
			for _, p := range ports {
				fmt.Fprintf(&got, "line %d: %s %s", p.Line, p.Service, binding(p))
				if len(p.Variables) > 0 {
					fmt.Fprintf(&got, " by %s", strings.Join(p.Variables, " "))
				}
				got.WriteByte('\n')
			}
			golden := strings.TrimSuffix(s.path, ".yml") + ".ports"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (go test -update writes it)", err)
			}
			if got.String() != string(want) {
				t.Errorf("%s: got\n%swant\n%s", s.path, got.String(), want)
			}
		})
	}
}

// binding is p as one writes it: 127.0.0.1:8000-8005:80/tcp.
func binding(p compose.Port) string {
	host := ""
	if p.Published != 0 {
		host = fmt.Sprint(p.Published)
	}
	if p.Last != p.Published {
		host = fmt.Sprintf("%d-%d", p.Published, p.Last)
	}
	return fmt.Sprintf("[%s]:%s:%d/%s", p.HostIP, host, p.Target, p.Protocol)
}

// TestRefuses holds against files that Compose refuses, too, and against those
// that only this package refuses.
func TestRefuses(t *testing.T) {
	for _, s := range slices.Concat(samples(t, "invalid/*.yml", 50), samples(t, "stricter/*.yml", 5)) {
		t.Run(s.path, func(t *testing.T) {
			services, ports, err := s.resolve()
			if err == nil {
				t.Fatalf("no error, but services %q and ports %v; want an error with %q", services, ports, s.err)
			}
			if s.err == "" || !strings.Contains(err.Error(), s.err) {
				t.Errorf("got %q, want it to contain %q", err, s.err)
			}
			e, ok := errors.AsType[*compose.Error](err)
			if !ok {
				t.Fatalf("%q is no compose.Error", err)
			}
			if lines := strings.Count(string(s.data), "\n"); e.Line < 0 || e.Line > lines+1 || e.Line == 0 && s.name() != "empty" {
				t.Errorf("%q names line %d; the file has %d", err, e.Line, lines)
			}
		})
	}
}
