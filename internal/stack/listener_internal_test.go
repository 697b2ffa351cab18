package stack

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// TestListener reads the system's tables, as proc(5) describes them.
func TestListener(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	const tcp = header +
		"   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0\n" +
		"   1: 0100007F:1F42 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 100 0 0 10 0\n" +
		"   2: 0100007F:1F43 00000000:0000 0A 00000000:00000000 00:00000000 00000000     7        0 333 1 0 100 0 0 10 0\n" +
		"broken\n"
	const tcp6 = header + "   0: 00000000000000000000000000000000:1F44 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 444 1\n"
	const udp = header + "   0: 00000000:1F45 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 555 2\n"
	w := world.NewFake()
	w.Write("/proc/net/tcp", []byte(tcp))
	w.Write("/proc/net/tcp6", []byte(tcp6))
	w.Write("/proc/net/udp", []byte(udp))
	for pid, inode := range map[string]string{"12": "111", "13": "222", "14": "444", "15": "555"} {
		w.Write("/proc/"+pid+"/comm", []byte("server"+pid+"\n"))
		w.Write("/proc/"+pid+"/fd/0", nil)
		if err := w.Host().Symlink("socket:["+inode+"]", "/proc/"+pid+"/fd/3"); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		protocol string
		port     int
		want     string
	}{
		{"tcp", 8001, "server12 (pid 12)"},
		{"tcp", 8002, ""}, // a connection, which has the port as well
		{"tcp", 8003, "a process of user 7"},
		{"tcp", 8004, "server14 (pid 14)"},
		{"udp", 8005, "server15 (pid 15)"},
		{"udp", 8001, ""},
	} {
		if got := listener(w.Host(), tt.protocol, tt.port).String(); got != tt.want {
			t.Errorf("%s port %d: got %q, want %q", tt.protocol, tt.port, got, tt.want)
		}
	}
	if got := listener(world.NewFake().Host(), "tcp", 8001).String(); got != "" {
		t.Errorf("without /proc: %q", got)
	}
}
