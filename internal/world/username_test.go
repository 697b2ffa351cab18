package world_test

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

func TestUserName(t *testing.T) {
	for _, c := range []struct {
		list string
		env  map[string]string
		want string
	}{
		{"root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n", map[string]string{"USER": "root"}, "ada"},
		{"ada:x:10000:1:\n#x\n+::\nshort:1000\n:x:1000:1:\n", map[string]string{"USER": "eve"}, "eve"},
		{"", map[string]string{"LOGNAME": "log"}, "log"},
		{"", nil, "1000"},
	} {
		w := world.NewFake()
		w.Env = c.env
		if c.list != "" {
			w.Write("/etc/passwd", []byte(c.list))
		}
		if got := world.UserName(w.World()); got != c.want {
			t.Errorf("with %q and %v the user is %q, want %q", c.list, c.env, got, c.want)
		}
	}
}

func TestHostname(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		if s.world.Env.Hostname() == "" {
			t.Error("the machine has no name")
		}
	})
}
