package claim

import (
	"fmt"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// maxTime bounds a lease and a wait, so that no sum of two times overflows.
const maxTime = 100 * 365 * 24 * time.Hour

// checkTime refuses a time that no claim can have.
func checkTime(what string, d time.Duration) error {
	if d < 0 || d > maxTime {
		return fmt.Errorf("%w: a %s of %s, want one from 0 to %s", ErrInvalid, what, d, maxTime)
	}
	return nil
}

// lease is a lease as it is kept. It goes by the clock that counts from the boot,
// which nobody sets. After a reboot it starts anew, from the boot.
type lease struct {
	TTL      time.Duration
	Boot     string        // of which start of the machine the deadline speaks
	Deadline time.Duration // after that start
}

// instant is a moment on the clock that counts from the boot.
type instant struct {
	boot string
	up   time.Duration
	err  error // where the system doesn't tell
}

func now(w world.World) instant {
	boot, up, err := w.Clock.BootTime()
	return instant{boot, up, err}
}

// begin is a lease of ttl from now on; zero for no ttl.
func (v *view) begin(ttl time.Duration) (lease, error) {
	if ttl == 0 {
		return lease{}, nil
	}
	t := v.now()
	if t.err != nil {
		return lease{}, fmt.Errorf("keeping a lease of %s: %w", ttl, t.err)
	}
	return lease{TTL: ttl, Boot: t.boot, Deadline: t.up + ttl}, nil
}

// read is the lease as it stands at that moment. One that can't be judged isn't
// over.
func (t instant) read(l lease) Lease {
	switch {
	case t.err != nil:
		return Lease{TTL: l.TTL, Left: l.TTL}
	case t.boot != l.Boot:
		return Lease{TTL: l.TTL, Left: l.TTL - t.up}
	}
	return Lease{TTL: l.TTL, Left: l.Deadline - t.up}
}

// over tells whether a lease has run out.
func (l Lease) over() bool { return l.TTL > 0 && l.Left <= 0 }

// rounded is a time as people read it.
func rounded(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Minute)
}
