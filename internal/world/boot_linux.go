package world

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bootClock counts from the boot, and while the machine sleeps.
const bootClock = unix.CLOCK_BOOTTIME

// bootID is random, and made by the kernel when it starts: see random(4).
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}
