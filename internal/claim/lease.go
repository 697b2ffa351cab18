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
	TTL      duration `json:"ttl"`
	Boot     string   `json:"boot"`     // of which start of the machine the deadline speaks
	Deadline duration `json:"deadline"` // after that start
}

// instant is a moment on the clock that counts from the boot.
type instant struct {
	boot string
	up   time.Duration
	err  error // where the system doesn't tell
}

func now(w world.World) instant {
	boot, up, err := w.BootTime()
	return instant{boot, up, err}
}

// begin is a lease of ttl from now on; nil for no ttl.
func (v *view) begin(ttl time.Duration) (*lease, error) {
	if ttl == 0 {
		return nil, nil
	}
	t := v.now()
	if t.err != nil {
		return nil, fmt.Errorf("keeping a lease of %s: %w", ttl, t.err)
	}
	return &lease{TTL: duration(ttl), Boot: t.boot, Deadline: duration(t.up + ttl)}, nil
}

// read is the lease as it stands at that moment. One that can't be judged isn't
// over.
func (t instant) read(l *lease) Lease {
	ttl := time.Duration(l.TTL)
	switch {
	case t.err != nil:
		return Lease{TTL: ttl, Left: ttl}
	case t.boot != l.Boot:
		return Lease{TTL: ttl, Left: ttl - t.up}
	}
	return Lease{TTL: ttl, Left: time.Duration(l.Deadline) - t.up}
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

// duration is a time.Duration that JSON has as "1h0m0s".
type duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}
