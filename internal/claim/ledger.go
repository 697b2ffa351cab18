package claim

import (
	"maps"
	"slices"
)

// maxReleased is how many released claims are remembered. A tool that writes back
// what it read before as many releases brings a claim back for good; it is then shown
// as that tool's, and can be released.
const maxReleased = 64

// ledger is what kinfra knows of its claims: the sum of what the lines of [File] say.
type ledger struct {
	facts
	news    facts // what the log doesn't say yet
	lasting bool  // whether the news has to outlast a loss of power

	data []byte // the log as it was read; nil if there is none
	head int    // bytes of its first line
	old  bool   // whether it has the form of an earlier version
	torn bool   // whether it ends in what is left of an append, so that nothing can be added to it
}

// facts are what a line of the log says, or many.
type facts struct {
	Claims   map[int]*record // by slot: the claims that kinfra gave; as news nil for one that has ended
	Released []released      // lately, oldest first
	Volumes  map[int]string  // by slot: the token under which its volumes were last used; as news empty for one without
	Made     map[int]Volumes // by slot: the volumes that were made for it; as news empty for one without
}

// Volumes are volumes that were made for a slot, by name. The value tells one from
// another that has the name; it is kept as it is.
type Volumes map[string]string

// record is a claim that kinfra gave.
type record struct {
	Worktree  string
	ClaimedAt string // as in the registry
	Token     string // 32 hexadecimal digits
	Env       string // the SHA-256 of the file that it left in the worktree, hexadecimal
	Lease     lease  // zero for a claim that stands until it is released
	Origin    origin
}

// released is a claim that has ended.
type released struct {
	Slot      int
	Worktree  string
	ClaimedAt string
}

func newFacts() facts {
	return facts{Claims: map[int]*record{}, Volumes: map[int]string{}, Made: map[int]Volumes{}}
}

func newLedger() *ledger { return &ledger{facts: newFacts(), news: newFacts()} }

// setClaim makes r the claim of a slot; nil is none.
func (f *facts) setClaim(id int, r *record) {
	if r == nil {
		delete(f.Claims, id)
		return
	}
	f.Claims[id] = r
}

// setVolumes notes whose volumes a slot has; "" is for none.
func (f *facts) setVolumes(id int, token string) {
	if token == "" {
		delete(f.Volumes, id)
		return
	}
	f.Volumes[id] = token
}

// setMade notes which volumes were made for a slot, in all.
func (f *facts) setMade(id int, made Volumes) {
	if len(made) == 0 {
		delete(f.Made, id)
		return
	}
	f.Made[id] = made
}

// addReleased notes a release, and forgets the oldest.
func (f *facts) addReleased(r released) {
	f.Released = append(f.Released, r)
	f.Released = slices.Delete(f.Released, 0, max(0, len(f.Released)-maxReleased))
}

// give notes the claim of a slot. A new one without a lease need not outlast a loss of
// power; the package comment says why.
func (l *ledger) give(id int, r record) {
	had := l.Claims[id]
	if had != nil && *had == r {
		return
	}
	l.setClaim(id, &r)
	l.news.Claims[id] = &r
	l.lasting = l.lasting || had != nil || r.Lease != lease{}
}

// end drops the claim of a slot.
func (l *ledger) end(id int) {
	if l.Claims[id] == nil {
		return
	}
	l.setClaim(id, nil)
	l.news.Claims[id] = nil
	l.lasting = true
}

// useVolumes notes under which token the volumes of a slot are used; "" is for a slot
// that has none.
func (l *ledger) useVolumes(id int, token string) {
	if l.Volumes[id] == token {
		return
	}
	l.setVolumes(id, token)
	l.news.Volumes[id] = token
	l.lasting = true
}

// makeVolumes notes which volumes were made for a slot, in all.
func (l *ledger) makeVolumes(id int, made Volumes) {
	if maps.Equal(l.Made[id], made) {
		return
	}
	l.setMade(id, made)
	l.news.Made[id] = made
	l.lasting = true
}

// remember notes a release. A claim without a time is not told from a later one,
// so it isn't noted.
func (l *ledger) remember(r released) {
	if r.ClaimedAt == "" {
		return
	}
	l.addReleased(r)
	l.news.addReleased(r)
	l.lasting = true
}

// wasReleased tells whether a claim has ended.
func (l *ledger) wasReleased(r released) bool { return slices.Contains(l.Released, r) }

// changed tells whether there is something that the log doesn't say.
func (l *ledger) changed() bool {
	return len(l.news.Claims)+len(l.news.Released)+len(l.news.Volumes)+len(l.news.Made) > 0
}
