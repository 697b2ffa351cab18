package engine

import (
	"cmp"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// patience is how long a run that was interrupted may take to end before its user is told
// that it is on its way, unless its configuration says otherwise.
const patience = 2 * time.Second

// reassure tells the user of a run that was interrupted, and takes long to end, what is
// going on. It returns once the run is closed, or that was said.
func (r *Run) reassure() {
	select {
	case <-r.closed.Done():
	case <-time.After(cmp.Or(r.config.Patience, patience)):
		r.emit(&event.Event{Type: event.Warned, Text: "interrupted: what was begun is being brought to its end; interrupt once more to end kinfra at once"})
	}
}
