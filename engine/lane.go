package engine

import "github.com/ktrdr/kinfra/engine/event"

// lane is where a thread announces. The branches of parallel are heard in the order of
// their items, so that a run says the same each time: the first one that isn't over
// speaks, what those behind it say is kept until it is their turn.
type lane struct {
	live     bool          // what is said is heard at once
	kept     []event.Event // what was said before
	over     bool
	branches []*lane // of the call of parallel that the thread waits for
	heard    int     // how many of the branches were heard and are over
}

// say makes an announcement on a lane. r.mu must be held, as for all below.
func (r *Run) say(l *lane, said event.Event) {
	if !l.live {
		l.kept = append(l.kept, said)
		return
	}
	r.emitLocked(&said)
}

// fork opens a lane for each of n branches.
func (r *Run) fork(l *lane, n int) []*lane {
	l.branches, l.heard = make([]*lane, n), 0
	for i := range l.branches {
		l.branches[i] = &lane{}
	}
	r.advance(l)
	return l.branches
}

// ended closes the lane of a branch of l.
func (r *Run) ended(l, branch *lane) {
	branch.over = true
	r.advance(l)
}

// join closes the lanes of all branches. What those behind a silent thread have said
// is now its own.
func (r *Run) join(l *lane) {
	if !l.live {
		for _, b := range l.branches {
			l.kept = append(l.kept, b.kept...)
		}
	}
	l.branches = nil
}

// advance lets the branches of a lane be heard, up to the first that isn't over.
func (r *Run) advance(l *lane) {
	if !l.live {
		return
	}
	for ; l.heard < len(l.branches); l.heard++ {
		b := l.branches[l.heard]
		if !b.live {
			b.live = true
			for _, said := range b.kept {
				r.say(b, said)
			}
			b.kept = nil
			r.advance(b)
		}
		if !b.over {
			return
		}
	}
}
