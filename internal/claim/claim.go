// Package claim gives slots to worktrees and takes them back.
//
// # What is kept where
//
// The registry's claimed_by and claimed_at are the view that kinfra shares with
// older tools, which rewrite that file at any time, without a lock. What kinfra
// knows of the claims that it gave (their tokens and leases, which were released
// lately, whose volumes a slot has) is the ledger. It is kept in a log, [File], to
// which each transaction adds a line with what it changes; now and then the log is
// replaced by one of a single line, which says all. Both files change in one
// transaction under the registry's lock: once the registry's new content is on disk
// under another name, and nobody has written the old one meanwhile, the line is added,
// and then the registry is put in place. If that fails, the line is taken back.
//
// A process killed between the two leaves a claim that only the log knows, or a
// release that only it knows: the next transaction completes either, as it does for
// a loss of what a stale write of another tool took from the registry.
//
// # What outlasts a loss of power
//
// The registry is durable before an operation is acknowledged. So is a line of the
// log, with all those before it, but for one that only says of a new claim without a
// lease. That guards the claim against stale writes of the older tools, which read,
// wait and write, and a loss of power ends those, too. Where it has taken the line,
// the registry still has the claim, and it is honoured as one of unknown origin. Its
// worktree's next claim makes it kinfra's again, but never with volumes that somebody
// else has used: the first claim of a slot, of whose volumes nothing is known, is
// durable. What the older tools have made of a claim in the registry before the power
// failed, and no transaction has put right, stays so where the line is lost: the claim
// may be gone, or another's.
//
// What is left of lines that were not durable is a part of one, at the end of the log,
// or a hole of zero bytes with what came after it, if none of that was durable. It is
// left out, and the next transaction writes the log anew. A log that lost more of its
// end, by whatever hand, thus reads as it was when it was shorter, also where what it
// lost had been durable. All else that isn't as it was written is found by the lines'
// checksums, and refused as damage.
//
// # When a worktree is gone
//
// A path at which nothing is proves little: `git worktree move` changes it, and so does a
// disk that isn't mounted. What runs under a claim, and its volumes, must not be removed
// for that. So the log keeps with a claim the worktree's [origin], and a worktree counts
// as gone only where
//
//   - git's administrative directory of it is gone, while its repository is there; or
//   - it had no git, and the directory that it was in is there, the same one as then.
//
// Otherwise it is missing ([Absence]): its claim is shown as such and ends only by a
// release. So does one of which no origin is known. A worktree that git has moved is not
// yet known at its new path, and one that was made anew at the old path has the claim;
// the origin stays that of the one that claimed for as long as git has it.
//
// # Beside the older tools
//
// A claim's identity is its slot, claimed_by and claimed_at, whose microseconds
// those tools keep as they are. Each transaction, and each listing in memory,
// begins by bringing the two files together (reconcile):
//
//   - a claim that the registry lacks is put back. Whether another tool wrote an
//     old state or meant to release it can't be told; so what kinfra gave, kinfra
//     releases;
//   - a released claim that the registry has again is removed again;
//   - a claim that only the registry knows is somebody else's, and is honoured;
//   - another worktree in the place of one to which kinfra gave the slot is a
//     conflict, which is reported with both parties by every command that meets
//     it, and in which nothing of either is touched until one is released.
//
// What can't be prevented: a tool that takes no lock may overwrite what kinfra
// writes, until the next transaction puts it back; until then the older tools see
// the slot as free and may give it to somebody else, which is a conflict. Kinfra
// compares the registry with what it loaded right before it adds to the log, and again
// right before it replaces it, but what another tool writes in the microseconds after
// that is lost. So two tools can give one slot to two worktrees, and that is found, not
// prevented; two kinfra processes can't.
//
// # Rights
//
// Each claim has a token. Whoever stops, removes or releases something shows the
// token of the claim in whose name it does so; see [Target]. A former holder's is
// no longer good.
package claim

import (
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Pool gives out the slots of one root directory. It may be used by several
// goroutines at once.
type Pool struct {
	w     world.World
	store *registry.Store
	files world.Files
}

// Open returns the pool whose registry store is. Nothing is read before it is used.
func Open(w world.World, store *registry.Store) *Pool {
	return &Pool{w: w, store: store, files: w.Disk.Root(store.Root())}
}

// Claim is one worktree's hold on one slot.
type Claim struct {
	Slot      int
	Profile   string           // of the slot
	Ports     []registry.Count // of the slot
	Worktree  string           // absolute
	ClaimedAt string           // as in the registry; empty if another tool left it so
	Token     string           // 32 hexadecimal digits; it changes with the holder
	Lease     Lease
	Stale     Staleness
	Missing   Absence // why its worktree isn't there, of which it isn't certain that it is gone
	Foreign   bool    // another tool gave it, and the worktree has not claimed with kinfra since
	Started   bool    // its stack was, or for a foreign one may have been, started under this claim
}

// Lease is for how long a claim is good.
type Lease struct {
	TTL  time.Duration // from when it was last claimed; 0 for a claim without a lease
	Left time.Duration // negative once it is over
}

// Staleness says why a claim may be taken back, in words that follow its holder's
// name; it is empty for one that stands.
type Staleness string

// Why a claim may be taken back.
const (
	WorktreeGone Staleness = "its worktree is gone"
	LeaseOver    Staleness = "its lease is over"
)

// Slot is a slot with who holds it.
type Slot struct {
	registry.Slot        // its ClaimedBy and ClaimedAt are those of Claim, or empty
	Claim         *Claim // nil if nobody holds it
	Contender     *Claim // whom another tool has entered in the place of the holder; nil without a conflict
}
