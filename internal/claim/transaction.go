package claim

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	// tries is how often a transaction is begun when other tools write to the
	// registry while it is under way.
	tries      = 20
	triesPause = 10 * time.Millisecond
)

// transact calls do with both files under the registry's lock, and writes what it
// has changed, together with what was reconciled. A do that fails must not have
// changed anything; it is called again when another tool wrote meanwhile.
func (p *Pool) transact(ctx context.Context, do func(*view) error) error {
	for try := 1; ; try++ {
		err := p.store.Transact(ctx, func(t *registry.Transaction) error {
			v, err := p.view(t.Registry)
			if err != nil {
				return err
			}
			refusal := do(v)
			if err := v.publish(t); err != nil {
				return err
			}
			return refusal
		})
		if !errors.Is(err, registry.ErrChanged) {
			return err
		}
		if try == tries {
			err = fmt.Errorf("%w: other tools wrote to the registry during each of %d tries: %w", ErrConflict, tries, err)
			return hint.Wrap(err, "try again when they are done")
		}
		if err := p.w.Clock.Sleep(ctx, triesPause); err != nil {
			return fmt.Errorf("changing the registry %s: %w", p.store.Path(), err)
		}
	}
}

// publish writes what has changed: the ledger, then the registry.
func (v *view) publish(t *registry.Transaction) error {
	if !v.ledger.changed() {
		return t.Publish()
	}
	change := v.ledger.change()
	if !change.Unsynced {
		// A process may have been killed while it wrote the log anew, or took a line back.
		// A claim of a few milliseconds leaves it to the release to clear that away.
		if err := world.RemoveLeftovers(v.pool.files, path.Dir(File)); err != nil {
			return err
		}
	}
	return t.PublishWith(&change)
}
