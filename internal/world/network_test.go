package world_test

import (
	"context"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestTryListen asks for addresses that are free, taken, and none of this machine,
// in all worlds but the fake ones, whose addresses a test sets.
func TestTryListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	worldtest.Must(t, err)
	defer taken.Close()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	worldtest.Must(t, err)
	defer packets.Close()
	for _, w := range []world.World{world.Real("test"), world.Planned(world.Real("test"))} {
		worldtest.WantErr(t, w.TryListen(t.Context(), "tcp", taken.Addr().String()), syscall.EADDRINUSE)
		worldtest.WantErr(t, w.TryListen(t.Context(), "udp", packets.LocalAddr().String()), syscall.EADDRINUSE)
		worldtest.WantErr(t, w.TryListen(t.Context(), "tcp", "192.0.2.1:80"), syscall.EADDRNOTAVAIL)
	}
	free := taken.Addr().String()
	taken.Close()
	for range 2 { // it gives up what it took
		worldtest.Must(t, world.Real("test").TryListen(t.Context(), "tcp", free))
	}

	fake := world.NewFake()
	fake.Listeners = map[string]bool{"127.0.0.1:80": true}
	worldtest.WantErr(t, fake.TryListen(t.Context(), "tcp", "127.0.0.1:80"), syscall.EADDRINUSE)
	worldtest.Must(t, fake.TryListen(t.Context(), "tcp", "127.0.0.1:81"))
}

func TestDial(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	w := world.Planned(world.Real("test"))
	if _, err := w.Dial(t.Context(), "unix", path); err == nil {
		t.Error("connected to a socket that isn't there")
	}
	server, err := net.Listen("unix", path)
	worldtest.Must(t, err)
	defer server.Close()
	conn, err := w.Dial(t.Context(), "unix", path)
	worldtest.Must(t, err)
	conn.Close()

	fake := world.NewFake()
	_, err = fake.Dial(t.Context(), "unix", path)
	worldtest.WantErr(t, err, syscall.ECONNREFUSED)
	here, _ := net.Pipe()
	fake.Connect = func(context.Context, string, string) (net.Conn, error) { return here, nil }
	if conn, err := fake.Dial(t.Context(), "unix", path); conn != here || err != nil {
		t.Errorf("got %v, %v", conn, err)
	}
}
