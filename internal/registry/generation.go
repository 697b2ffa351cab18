package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Generation is a kept copy of the registry as it once was.
type Generation struct {
	Number  int    // counts up from 1
	Path    string // of the copy
	Time    time.Time
	Size    int64 // bytes
	Version int   // of the document
	Slots   int   // how many it has
	Claimed int   // how many of these somebody held
	Err     error // why it can't be put back: it was damaged when it was kept, or is now (ErrDamaged), or can't be read now; nil for a good one
}

// ErrNoGeneration is returned for a number that no kept generation has.
var ErrNoGeneration = errors.New("no such generation")

// Generations lists the kept copies, oldest first, and looks into each.
func (s *Store) Generations(ctx context.Context) ([]Generation, error) {
	if _, err := s.checkRoot(); err != nil {
		return nil, err
	}
	return s.generations()
}

func (s *Store) generations() ([]Generation, error) {
	g, err := s.listGenerations()
	if err != nil {
		return nil, err
	}
	all := make([]Generation, len(g.copies))
	for i, c := range g.copies {
		all[i], _ = g.inspect(c)
	}
	return all, nil
}

// Restore puts a generation back in force, under the lock. What the registry is
// at that moment, damaged or not, is kept as a generation before. A number that
// there isn't is ErrNoGeneration; a copy that isn't good, ErrDamaged.
func (s *Store) Restore(ctx context.Context, number int) (Generation, error) {
	// Once without the lock, for which a missing root would be made.
	if chosen, _, err := s.choose(number); err != nil {
		return chosen, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Generation{}, err
	}
	defer unlock()
	chosen, data, err := s.choose(number)
	if err != nil {
		return chosen, err
	}
	if err := s.restore(number, data); err != nil {
		return chosen, fmt.Errorf("restoring generation %d: %w", number, err)
	}
	return chosen, nil
}

// choose finds a good generation by its number, and reads it.
func (s *Store) choose(number int) (Generation, []byte, error) {
	if _, err := s.checkRoot(); err != nil {
		return Generation{}, nil, err
	}
	g, err := s.listGenerations()
	if err != nil {
		return Generation{}, nil, err
	}
	at := slices.IndexFunc(g.copies, func(c copied) bool { return c.number == number })
	if at < 0 {
		err := fmt.Errorf("%w: %d", ErrNoGeneration, number)
		return Generation{}, nil, hint.Wrap(err, "%s", g.numbers())
	}
	chosen, data := g.inspect(g.copies[at])
	if world.IsSystemError(chosen.Err) {
		return chosen, nil, fmt.Errorf("reading generation %d: %w", number, chosen.Err)
	}
	if chosen.Err != nil {
		return chosen, nil, fmt.Errorf("generation %d (%s) is not good: %w", number, chosen.Path, chosen.Err)
	}
	return chosen, data, nil
}

// restore makes data the registry, and a generation of what it was.
func (s *Store) restore(number int, data []byte) error {
	old, err := s.readFile(maxDamaged)
	if errors.Is(err, world.ErrTooLarge) {
		return s.replaceUnread(data)
	}
	if world.IsSystemError(err) {
		return err
	}
	if err != nil {
		// What can't be read can't be kept, so it isn't replaced.
		return hint.Wrap(err, "move %s away, then run: %s", s.Path(), s.restoreCommand(number))
	}
	if old.exists && bytes.Equal(old.data, data) {
		return nil
	}
	g, err := s.openGenerations()
	if err != nil {
		return err
	}
	if err := g.keep(old); err != nil {
		return err
	}
	return s.write(old, []world.Change{old.replacedBy(data)})
}

// replaceUnread makes data the registry where that is too large to be copied: the file
// itself becomes the generation of what it was. From that moment on until data is in
// place there is no registry.
func (s *Store) replaceUnread(data []byte) error {
	g, err := s.openGenerations()
	if err != nil {
		return err
	}
	aside := path.Join(GenerationsDir, copyName(g.next(), hashUnread, kindDamaged))
	if err := s.files.Rename(File, aside); err != nil {
		return fmt.Errorf("keeping what is in the registry: %w", err)
	}
	err = g.sync(aside)
	if err == nil {
		err = s.write(content{}, []world.Change{content{}.replacedBy(data)})
	}
	if err == nil {
		return nil
	}
	if _, statErr := s.files.Lstat(File); errors.Is(statErr, fs.ErrNotExist) {
		err = errors.Join(err, s.files.Rename(aside, File))
	}
	return err
}

const (
	// keepNewest is how many copies of a kind are kept.
	keepNewest = 20

	// maxDamaged is up to which size a damaged registry is copied when a good one
	// takes its place, in bytes.
	maxDamaged = 256 << 20
)

// kind tells copies apart that mean different things; in their names it is what
// follows the hash.
type kind string

const (
	kindCurrent kind = ".json"
	kindV1      kind = ".v1.json" // as a version 1 tool left it
	kindDamaged kind = ".damaged" // kept, but of no use to kinfra
)

// copied is one copy: NNNNNN-<first 16 hexadecimal digits of its SHA-256>.json,
// where the digits of the number are at least six.
type copied struct {
	number int
	hash   string
	kind   kind
	info   world.Info
}

const (
	hashDigits = 16

	// hashUnread stands for the hash of what was too large to be read.
	hashUnread = "0000000000000000"
)

// parseCopied takes a file's name apart; ok tells whether it is that of a copy.
func parseCopied(info world.Info) (c copied, ok bool) {
	digits, rest, _ := strings.Cut(info.Name, "-")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 || len(rest) < hashDigits || !info.Mode.IsRegular() {
		return copied{}, false
	}
	c = copied{number: number, hash: rest[:hashDigits], kind: kind(rest[hashDigits:]), info: info}
	ok = c.kind == kindCurrent || c.kind == kindV1 || c.kind == kindDamaged
	return c, ok && c.info.Name == copyName(c.number, c.hash, c.kind)
}

func copyName(number int, hash string, k kind) string {
	return fmt.Sprintf("%06d-%s%s", number, hash, k)
}

func (c copied) name() string { return path.Join(GenerationsDir, c.info.Name) }

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:hashDigits]
}

// generations are the copies that there are, oldest first.
type generations struct {
	store  *Store
	copies []copied
	made   bool // whether their directory is there
}

func (s *Store) listGenerations() (*generations, error) {
	g := &generations{store: s}
	entries, err := s.files.ReadDir(GenerationsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the generations of the registry: %w", err)
	}
	g.made = true
	for _, info := range entries {
		if c, ok := parseCopied(info); ok {
			g.copies = append(g.copies, c)
		}
	}
	slices.SortFunc(g.copies, func(a, b copied) int { return cmp.Compare(a.number, b.number) })
	return g, nil
}

// openGenerations lists the copies and makes their directory if it is missing.
func (s *Store) openGenerations() (*generations, error) {
	g, err := s.listGenerations()
	if err != nil || g.made {
		return g, err
	}
	// Not synced: a copy that must not be lost is synced with its directory.
	if err := s.files.MkdirAll(GenerationsDir, dirMode); err != nil {
		return nil, fmt.Errorf("making the directory of the registry's generations: %w", err)
	}
	return g, nil
}

// numbers says which copies there are.
func (g *generations) numbers() string {
	if len(g.copies) == 0 {
		return "none is kept yet"
	}
	texts := make([]string, len(g.copies))
	for i, c := range g.copies {
		texts[i] = strconv.Itoa(c.number)
	}
	return "kept are " + strings.Join(texts, ", ")
}

// inspect looks whether a copy is good, and reads it if it is.
func (g *generations) inspect(c copied) (Generation, []byte) {
	found := Generation{Number: c.number, Path: g.store.path(c.name()), Time: c.info.ModTime, Size: c.info.Size}
	data, r, err := g.read(c)
	if err != nil {
		found.Err = err
		return found, nil
	}
	found.Version = r.Version()
	for _, e := range r.entries {
		found.Slots++
		if e.slot.ClaimedBy != "" {
			found.Claimed++
		}
	}
	return found, data
}

func (g *generations) read(c copied) ([]byte, *Registry, error) {
	if c.kind == kindDamaged {
		return nil, nil, fmt.Errorf("%w: it was damaged when it was kept", ErrDamaged)
	}
	data, err := g.store.files.ReadFile(c.name(), MaxSize)
	if world.IsSystemError(err) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if hashOf(data) != c.hash {
		return nil, nil, fmt.Errorf("%w: its content has not the hash in its name", ErrDamaged)
	}
	r, err := Parse(data)
	return data, r, err
}

// keepCopies makes copies of what the registry holds, unless there is one, and of data
// that is to take its place, and removes the oldest. It returns the name of the copy
// of data if that was made, also when it fails.
func (s *Store) keepCopies(old content, data []byte) (added string, err error) {
	g, err := s.openGenerations()
	if err == nil {
		err = g.keep(old)
	}
	if err == nil {
		added, err = g.add(data, kindCurrent)
	}
	if err == nil {
		err = g.prune()
	}
	return added, err
}

// keep makes a copy of what the registry holds before it is overwritten, unless
// there is one. Normally the newest copy is that.
func (g *generations) keep(old content) error {
	if !old.exists {
		return nil
	}
	data := old.data
	if n := len(g.copies); n > 0 && g.holds(g.copies[n-1], data) {
		return nil
	}
	hash := hashOf(data)
	if slices.ContainsFunc(g.copies, func(c copied) bool { return c.hash == hash && g.holds(c, data) }) {
		return nil
	}
	k := kindCurrent
	if r, err := Parse(data); err != nil {
		k = kindDamaged
	} else if r.Version() == 1 {
		k = kindV1
	}
	name, err := g.add(data, k)
	if err != nil {
		return err
	}
	return g.sync(name) // it stands nowhere else, and is about to be overwritten for good
}

// sync makes a copy durable.
func (g *generations) sync(name string) error {
	for _, name := range []string{name, GenerationsDir, path.Dir(GenerationsDir), "."} {
		if err := g.store.files.Sync(name); err != nil {
			return fmt.Errorf("keeping what is in the registry: %w", err)
		}
	}
	return nil
}

// next is the number of the next copy.
func (g *generations) next() int {
	if n := len(g.copies); n > 0 {
		return g.copies[n-1].number + 1
	}
	return 1
}

// holds tells whether a copy's content is data. A copy that was cut short by a
// loss of power isn't.
func (g *generations) holds(c copied, data []byte) bool {
	if c.info.Size != int64(len(data)) {
		return false
	}
	content, err := g.store.files.ReadFile(c.name(), maxDamaged)
	return err == nil && bytes.Equal(content, data)
}

// add makes a copy and returns its name. It isn't synced. That is safe for what is
// published next: the registry itself is then durable with the same bytes, and
// the transaction after that one compares the two, and makes another copy should
// this one have been lost. The hash in the name tells a torn copy from a good one.
func (g *generations) add(data []byte, k kind) (string, error) {
	c := copied{number: g.next(), hash: hashOf(data), kind: k}
	c.info = world.Info{Name: copyName(c.number, c.hash, c.kind), Size: int64(len(data))}
	if err := g.store.files.CreateFile(c.name(), data, fileMode); err != nil {
		return "", fmt.Errorf("adding a generation of the registry: %w", err)
	}
	g.copies = append(g.copies, c)
	return c.name(), nil
}

// prune removes the oldest copies of each kind. The first one of version 1 stays
// for good: it is all that is left of the pool's time before kinfra.
func (g *generations) prune() error {
	for _, k := range []kind{kindCurrent, kindV1, kindDamaged} {
		var old []copied
		for _, c := range g.copies {
			if c.kind == k {
				old = append(old, c)
			}
		}
		old = old[:max(0, len(old)-keepNewest)]
		if k == kindV1 && len(old) > 0 {
			old = old[1:]
		}
		for _, c := range old {
			if err := g.store.files.Remove(c.name()); err != nil {
				return fmt.Errorf("removing an old generation of the registry: %w", err)
			}
		}
	}
	return nil
}
