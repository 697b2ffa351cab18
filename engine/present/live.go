package present

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// Live shows a run on a terminal. What has ended stands there for good, on a line each
// as Plain writes it; below that, what is running is drawn again and again in the same
// place, and is gone in the end.
//
// Nothing is drawn before the first step or check begins, nor for a run that is over
// before the first frame.
type Live struct {
	Plain

	// Terminal is that of Progress, but lets codes through that move the cursor.
	Terminal io.Writer

	// Size gives the terminal's columns and rows; 0 where it must not be drawn on now.
	// It is asked for each frame, so that a change of size shows at the next one.
	Size func() (width, height int)

	// Watch is called when there is something to draw. Until the function that it
	// returns is called, it has Frame called every now and then, on a goroutine of its
	// own, and Pause and Interrupt when there is reason to.
	Watch func() (stop func())

	mu      sync.Mutex // guards all below
	began   time.Time  // the run
	now     time.Time  // as far as events and frames tell
	counts  counts
	running tree
	stop    func() // what Watch gave; nil while nothing is watched
	drawn   bool
	paused  int  // how many have the terminal to themselves
	over    bool // the run was interrupted: nothing is drawn any more
	asked   bool // the user was told of what the run still waits for
}

// counts is how many steps and checks ended in which way.
type counts struct{ done, failed, skipped int }

// Show takes note of an event, and writes what it has to say.
func (l *Live) Show(e *event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = e.Time
	switch e.Type {
	case event.RunBegan, event.Resumed:
		l.began = e.Time
	case event.Began:
		l.running.begin(e)
		l.watch()
	case event.Retried:
		l.running.retry(e.Key)
	case event.Ended:
		l.running.end(e.Key)
		l.counts.add(e.Status)
	case event.Told:
		if l.running.tell(e.Key, e.Text) {
			return
		}
	case event.Printed:
		if l.running.print(e) {
			return
		}
	case event.RunEnded:
		l.rest()
	}
	if out, text := l.saying(e); text != "" {
		l.above(func() { io.WriteString(out, text) })
	}
}

// Frame draws what is running at a time, and ends the watch when nothing is.
func (l *Live) Frame(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	switch n := len(l.running.nodes); {
	case l.stop == nil || l.paused > 0:
	case n == 0:
		l.rest()
	case !l.over:
		l.draw()
	case !l.asked:
		l.asked = true
		fmt.Fprintf(l.Progress, "Waiting for %d step(s) to stop; Ctrl-C once more ends the process at once\n", n)
	}
}

// Pause takes away what is drawn until Continue is called as often as Pause was: a
// child process has the terminal, or this one is about to be suspended.
func (l *Live) Pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused++
	l.erase()
}

// Continue lets the next frame be drawn.
func (l *Live) Continue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused--
}

// Interrupt takes away what is drawn for good: the run is being stopped, and the process
// may be ended at any moment. If that takes until the next frame, it says so.
func (l *Live) Interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.erase()
}

// Beside is out for whoever writes to the same terminal what is no event, in whole
// lines: they come out above what is drawn.
func (l *Live) Beside(out io.Writer) io.Writer { return &beside{l, out} }

type beside struct {
	live *Live
	out  io.Writer
}

func (b *beside) Write(p []byte) (n int, err error) {
	b.live.mu.Lock()
	defer b.live.mu.Unlock()
	b.live.above(func() { n, err = b.out.Write(p) })
	return n, err
}

// above has whole lines written above what is drawn. l.mu must be held, as for all below.
func (l *Live) above(write func()) {
	drawn := l.drawn
	l.erase()
	write()
	if drawn {
		l.draw()
	}
}

// watch has frames drawn from now on.
func (l *Live) watch() {
	if l.stop == nil {
		l.stop = l.Watch()
	}
}

// rest ends the watch, with nothing left drawn.
func (l *Live) rest() {
	l.erase()
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

func (l *Live) draw() {
	rows := l.rows(l.Size())
	if len(rows) == 0 {
		l.erase()
		return
	}
	io.WriteString(l.Terminal, drawing(rows, l.Style.Ink))
	l.drawn = true
}

func (l *Live) erase() {
	if l.drawn {
		io.WriteString(l.Terminal, erasing)
		l.drawn = false
	}
}

func (c *counts) add(status event.Status) {
	switch status {
	case event.Failed:
		c.failed++
	case event.Skipped:
		c.skipped++
	default:
		c.done++
	}
}
