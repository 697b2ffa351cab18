package world

import "golang.org/x/sys/unix"

// bootClock counts from the boot, and while the machine sleeps. CLOCK_MONOTONIC
// would do so, too, but follows the settings of the wall clock: see
// clock_gettime(3).
const bootClock = unix.CLOCK_MONOTONIC_RAW

// bootID is random, and made by the kernel when it starts.
func bootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }
