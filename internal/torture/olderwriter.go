package main

import (
	"context"
	_ "embed" // of older.py
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"
)

// olderScript is a process as the older tool's, in its own language.
//
//go:embed older.py
var olderScript string

// rewrites are what a process of the older kind did.
type rewrites struct {
	Writes int `json:"writes"`
	Erased int `json:"erased"` // of them with all slots gone: it had read what another one was writing
}

// startOlder starts a process that rewrites the registry without a lock: with Python
// where it is wanted, else one that does the same, in pieces.
func startOlder(ctx context.Context, p pool, o order, python bool) (wait func() (rewrites, error), err error) {
	var cmd *exec.Cmd
	if python {
		name, err := exec.LookPath("python3")
		if err != nil {
			return nil, notRunError(fmt.Sprintf("the older tool needs Python: %v", err))
		}
		cmd = exec.CommandContext(ctx, name, "-c", olderScript, p.store.Path(), p.tree(o.Number), fmt.Sprint((o.Until - upTime()).Seconds()))
		cmd.Stderr = os.Stderr
	} else if cmd, err = o.command(ctx); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (r rewrites, err error) {
		if err := json.NewDecoder(out).Decode(&r); err != nil {
			return r, err
		}
		return r, cmd.Wait()
	}, nil
}

// writeAsOlder is a process that does what older.py does, and takes longer to write.
func writeAsOlder(ctx context.Context, c child) error {
	p := openPool(c.world(), c.Dir)
	var did rewrites
	for upTime() < c.Until && ctx.Err() == nil {
		doc, unreadable := loadAsOlder(p.store.Path())
		time.Sleep(rand.N(10 * time.Millisecond))
		if doc.edit(p.tree(c.Number)) {
			data, err := json.MarshalIndent(doc, "", "  ")
			if err != nil {
				return err
			}
			if err := writeInParts(p.store.Path(), data, rand.N(time.Millisecond)); err != nil {
				return err
			}
			did.Writes++
			if unreadable {
				did.Erased++
			}
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	}
	return c.out.Encode(did)
}

// olderDocument is the registry as the older tool has it.
type olderDocument struct {
	Version   int                       `json:"version"`
	LocalProd any                       `json:"local_prod"`
	Instances map[string]map[string]any `json:"instances"`
	Slots     map[string]map[string]any `json:"slots"`
}

// loadAsOlder reads the registry; one that can't be read is an empty one.
func loadAsOlder(path string) (doc olderDocument, unreadable bool) {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err != nil {
		doc = olderDocument{Version: 2, Slots: map[string]map[string]any{}}
	}
	if doc.Instances == nil {
		doc.Instances = map[string]map[string]any{}
	}
	return doc, err != nil
}

// edit claims, releases or registers an instance, and tells whether that was a change.
func (doc olderDocument) edit(worktree string) bool {
	switch rand.IntN(5) {
	case 0, 1:
		for _, s := range doc.Slots {
			if s["claimed_by"] == nil {
				s["claimed_by"] = worktree
				s["claimed_at"] = time.Now().UTC().Format("2006-01-02T15:04:05.000000-07:00")
				return true
			}
		}
		return false
	case 2, 3:
		held := false
		for _, s := range doc.Slots {
			if s["claimed_by"] == worktree {
				s["claimed_by"], s["claimed_at"], held = nil, nil, true
			}
		}
		return held
	}
	doc.Instances["older"] = map[string]any{
		"instance_id": "older", "slot": 9, "path": worktree,
		"created_at": "2026-01-20T14:02:11.482913+00:00", "is_worktree": true, "parent_repo": nil,
	}
	return true
}
