package world_test

import (
	"net"
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
		worldtest.WantErr(t, w.Services.TryListen(t.Context(), "tcp", taken.Addr().String()), syscall.EADDRINUSE)
		worldtest.WantErr(t, w.Services.TryListen(t.Context(), "udp", packets.LocalAddr().String()), syscall.EADDRINUSE)
		worldtest.WantErr(t, w.Services.TryListen(t.Context(), "tcp", "192.0.2.1:80"), syscall.EADDRNOTAVAIL)
	}
	free := taken.Addr().String()
	taken.Close()
	for range 2 { // it gives up what it took
		worldtest.Must(t, world.Real("test").Services.TryListen(t.Context(), "tcp", free))
	}

	fake := world.NewFake()
	fake.Listeners = map[string]bool{"127.0.0.1:80": true}
	worldtest.WantErr(t, fake.TryListen(t.Context(), "tcp", "127.0.0.1:80"), syscall.EADDRINUSE)
	worldtest.Must(t, fake.TryListen(t.Context(), "tcp", "127.0.0.1:81"))
}
