package claim

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
)

// File is where kinfra keeps what it knows of its claims, below the root: JSON of
// the form of a ledger.
const File = "kinfra/claims.json"

const (
	ledgerVersion = 1
	ledgerMax     = 64 << 20 // bytes; the claim of a slot takes some 300

	// maxReleased is how many released claims are remembered. A tool that writes
	// back what it read before as many releases brings a claim back for good; it
	// is then shown as that tool's, and can be released.
	maxReleased = 64
)

// ledger is what kinfra knows of its claims, and the form of [File].
type ledger struct {
	Version  int             `json:"version"`           // 1
	Claims   map[int]*record `json:"claims"`            // by slot: the claims that kinfra gave
	Released []released      `json:"released"`          // lately, oldest first
	Volumes  map[int]string  `json:"volumes,omitempty"` // by slot: the token under which its volumes were last used
	Sum      string          `json:"sum"`               // of all the above, so that a changed digit isn't taken for a lease or a token

	data []byte // as it was read; nil if there was no file
}

// record is a claim that kinfra gave.
type record struct {
	Worktree  string `json:"worktree"`
	ClaimedAt string `json:"claimed_at"`      // as in the registry
	Token     string `json:"token"`           // 32 hexadecimal digits
	Env       string `json:"env"`             // the SHA-256 of the file that it left in the worktree, hexadecimal
	Lease     *lease `json:"lease,omitempty"` // none for a claim that stands until it is released
}

// released is a claim that has ended.
type released struct {
	Slot      int    `json:"slot"`
	Worktree  string `json:"worktree"`
	ClaimedAt string `json:"claimed_at"`
}

// readLedger reads the file; where there is none, nothing is known.
func (p *Pool) readLedger() (*ledger, error) {
	data, err := p.files.ReadFile(File, ledgerMax)
	if errors.Is(err, fs.ErrNotExist) {
		return &ledger{Version: ledgerVersion, Claims: map[int]*record{}, Volumes: map[int]string{}}, nil
	}
	var l *ledger
	if err == nil {
		l, err = parseLedger(data)
	}
	if err != nil {
		path := filepath.Join(p.store.Root(), filepath.FromSlash(File))
		err = fmt.Errorf("%w: %s: %w; nothing was changed", ErrDamaged, path, err)
		return nil, hint.Wrap(err, "move it away to go on without it: who holds what stays in the registry, leases and tokens are lost")
	}
	return l, nil
}

// parseLedger reads a ledger and refuses what json wouldn't have written.
func parseLedger(data []byte) (*ledger, error) {
	l, err := decodeLedger(data)
	if err != nil {
		return nil, err
	}
	if want, err := l.sum(); err != nil || l.Sum != want {
		return nil, errors.New("its content has not the checksum that it names")
	}
	return l, nil
}

// decodeLedger is parseLedger but for the checksum.
func decodeLedger(data []byte) (*ledger, error) {
	l := &ledger{data: data}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(l); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("want one JSON document, there is more")
	}
	if l.Version != ledgerVersion {
		return nil, fmt.Errorf("version %d, want %d (a newer kinfra may have written it)", l.Version, ledgerVersion)
	}
	if l.Claims == nil || l.Released == nil {
		return nil, errors.New("lacks claims or released")
	}
	for id, r := range l.Claims {
		if err := r.check(id); err != nil {
			return nil, err
		}
	}
	if l.Volumes == nil {
		l.Volumes = map[int]string{}
	}
	return l, nil
}

func (r *record) check(id int) error {
	switch {
	case id < 1 || id > registry.MaxSlot:
		return fmt.Errorf("slot %d, want 1 to %d", id, registry.MaxSlot)
	case r == nil || r.Worktree == "":
		return fmt.Errorf("the claim of slot %d has no worktree", id)
	case !isHex(r.Token, tokenSize):
		return fmt.Errorf("the claim of slot %d has the token %q, want %d hexadecimal digits", id, r.Token, 2*tokenSize)
	case r.Lease != nil && (r.Lease.TTL <= 0 || r.Lease.TTL > duration(maxTime) || r.Lease.Deadline < 0):
		return fmt.Errorf("the claim of slot %d has an impossible lease", id)
	}
	return nil
}

func isHex(text string, size int) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == size
}

// json is the file's new content.
func (l *ledger) json() (data []byte, err error) {
	if l.Released == nil {
		l.Released = []released{}
	}
	if l.Sum, err = l.sum(); err != nil {
		return nil, err
	}
	return json.MarshalIndent(l, "", "  ")
}

// sum is the SHA-256 of what the ledger says, hexadecimal.
func (l *ledger) sum() (string, error) {
	unsummed := *l
	unsummed.Sum = ""
	data, err := json.Marshal(unsummed)
	return hashOf(data), err
}

// remember notes a release. A claim without a time is not told from a later one,
// so it isn't noted.
func (l *ledger) remember(r released) {
	if r.ClaimedAt == "" {
		return
	}
	l.Released = append(l.Released, r)
	l.Released = slices.Delete(l.Released, 0, max(0, len(l.Released)-maxReleased))
}

// wasReleased tells whether a claim has ended.
func (l *ledger) wasReleased(r released) bool { return slices.Contains(l.Released, r) }
