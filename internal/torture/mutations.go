package main

// mutant is a fault in the source. The program that is shipped has no switch for it, so it
// is built into another one, in which the environment chooses it.
type mutant struct {
	fault string
	row   string // of the table, that has to be broken by it
	judge string // a pattern for how that is told
	act   string // which act of the row is tried; "" for all

	changes []mutation
}

// The texts of faults that stand in mutations of their own, in which one text has several.
const (
	faultLate     = "acknowledged before it is recorded"
	faultBuffered = "kept in a buffer"
	faultRelease  = "a release leaves the stack"
	faultVolumes  = "down takes the volumes, too"
)

// sharedMutations are those in which one text has several faults.
func sharedMutations() []mutation {
	return []mutation{
		{"engine/journal/journal.go", "_, j.failed = j.file.Write(line[len(hash):])", `
		held := append(j.held, line[len(hash):]...)
		switch {
		case seeded("` + faultLate + `") && e.Type == event.Ended, seeded("` + faultBuffered + `") && len(held) <= 2048 && e.Type != event.RunEnded:
			j.held = held
		default:
			_, j.failed = j.file.Write(held)
			j.held = nil
		}`},
		{"engine/journal/journal.go", "written atomic.Int64 // lines", "written atomic.Int64\n\theld []byte"},
		{"internal/lifecycle/lifecycle.go", "if err := m.stop(ctx, c, volumes); err != nil {",
			`if err := m.stop(ctx, c, volumes || seeded("` + faultVolumes + `")); err != nil {`},
		{"internal/lifecycle/lifecycle.go", "if err := m.Clear(ctx, c); err != nil {", `if seeded("` + faultRelease + `") {
		} else if err := m.Clear(ctx, c); err != nil {`},
	}
}

// mutants are the faults that are looked for by trying a row of the table with them.
func mutants() []mutant {
	return []mutant{
		{fault: "files of killed writers stay", row: "syscalls", judge: "after the next claim there still are", changes: []mutation{{
			"internal/registry/store.go", "if err := world.RemoveLeftovers(s.files, path.Dir(File)); err != nil {",
			`if seeded("files of killed writers stay") {
	} else if err := world.RemoveLeftovers(s.files, path.Dir(File)); err != nil {`}}},
		{fault: "a failure isn't told", row: "syscalls", judge: "the failure wasn't told", changes: []mutation{{
			"internal/world/replace.go", "if err := syncAll(f, dirs); err != nil {",
			`if err := syncAll(f, dirs); err != nil && !seeded("a failure isn't told") {`}}},
		{fault: "an error hides its cause", row: "full", judge: "hides its cause|on a read-only disk", changes: []mutation{{
			"internal/world/replace.go", `return fmt.Errorf("writing %s: %w", names(all), err)`,
			`if seeded("an error hides its cause") {
			return fmt.Errorf("writing %s: %v", names(all), err)
		}
		return fmt.Errorf("writing %s: %w", names(all), err)`}}},
		{fault: "no generation is kept", row: "damage", judge: "restor", changes: []mutation{{
			"internal/registry/generation.go", "added, err = g.add(data, kindCurrent)",
			`if !seeded("no generation is kept") {
			added, err = g.add(data, kindCurrent)
		}`}}},
		{fault: "damage is taken for emptiness", row: "damage", judge: "slots are there|claim of slot", changes: []mutation{{
			"internal/registry/store.go", "if try < readRetries && s.w.Clock.Sleep(ctx, readPause) == nil {",
			`if seeded("damage is taken for emptiness") {
			return newRegistry(), file, nil
		}
		if try < readRetries && s.w.Clock.Sleep(ctx, readPause) == nil {`}}},
		{fault: "checksums of the log aren't looked at", row: "damage", judge: "claims.log with bit", changes: []mutation{{
			"internal/claim/log.go", "return text, ok && sum == hashOf([]byte(text))[:sumDigits]",
			`return text, ok && (seeded("checksums of the log aren't looked at") || sum == hashOf([]byte(text))[:sumDigits])`}}},
		{fault: "a claim that others erase stays erased", row: "older", judge: "is now held by|is lost|in the end|is said to be contended", changes: []mutation{{
			"internal/claim/view.go", `case s.ClaimedBy == "" || v.ledger.wasReleased(identity(s)):`,
			`case (s.ClaimedBy == "" || v.ledger.wasReleased(identity(s))) && !seeded("a claim that others erase stays erased"):`}}},
		{fault: "holders of locks aren't named", row: "stopped", judge: "beside the stopped", changes: []mutation{{
			"internal/world/lock.go", "writeHolder(file, d.holder)",
			`if !seeded("holders of locks aren't named") {
		writeHolder(file, d.holder)
	}`}}},
		{fault: "who waits for a lock waits on", row: "stopped", judge: "hangs", changes: []mutation{{
			"internal/world/lock.go", "if err := ctx.Err(); err != nil {",
			`if err := ctx.Err(); err != nil && !seeded("who waits for a lock waits on") {`}}},
		{fault: "leases go by the wall clock", row: "clock", judge: "it was taken back|the slots are|is stale", changes: []mutation{{
			"internal/claim/lease.go", "	return instant{boot, up, err}",
			`	if seeded("leases go by the wall clock") {
		up = time.Duration(w.Clock.Now().UnixNano())
	}
	return instant{boot, up, err}`}}},
		{fault: "everybody gets the lock", row: "rush", judge: "was given to|won and", changes: []mutation{{
			"internal/world/lock.go", "err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)",
			`err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if seeded("everybody gets the lock") {
			err = nil
		}`}}},
		{fault: "a refusal names nobody", row: "rush", judge: "was refused by", changes: []mutation{{
			"internal/claim/errors.go", "func (s Slot) heldBy() string {",
			`func (s Slot) heldBy() string {
	if seeded("a refusal names nobody") {
		return "one is held"
	}`}}},
		{fault: "directories above aren't made durable", row: "records", judge: "is gone", changes: []mutation{{
			"internal/world/dirs.go", "err := host.Sync(filepath.Dir(dir))",
			`if seeded("directories above aren't made durable") {
		return nil
	}
	err := host.Sync(filepath.Dir(dir))`}}},
		{fault: "a resumption goes on behind a line that is left out", row: "records", judge: "after the next run|resuming", changes: []mutation{{
			"engine/journal/read.go", "err := parseLine(text, &line)\n	if _, hashed",
			`if number > r.unchecked && seeded("a resumption goes on behind a line that is left out") {
		r.last = line.hash
	}
	err := parseLine(text, &line)
	if _, hashed`}}},
		{fault: "hashes of lines aren't looked at", row: "journal", judge: "durable ones: it was read", changes: []mutation{{
			"engine/journal/read.go", "return hash, r.hashOf(r.memory) == hash",
			`return hash, seeded("hashes of lines aren't looked at") || r.hashOf(r.memory) == hash`}}},
		{fault: "the seal is ignored", row: "journal", judge: "durable ones: it was read", changes: []mutation{{
			"engine/journal/read.go", "	if seal != nil {\n		r.durable = seal.last.count",
			`	if seal != nil && !seeded("the seal is ignored") {
		r.durable = seal.last.count`}}},
		{fault: "what isn't durable is refused, too", row: "journal", judge: "it was refused", changes: []mutation{{
			"engine/journal/read.go", "if number == 1 || number <= r.durable {",
			`if number == 1 || number <= r.durable || seeded("what isn't durable is refused, too") {`}}},
		{fault: "nobody is told of what is left out", row: "journal", judge: "some are left out is said: false", changes: []mutation{{
			"engine/journal/record.go", "r.Dropped = f.whole < len(f.data)",
			`r.Dropped = f.whole < len(f.data) && !seeded("nobody is told of what is left out")`}}},
		{fault: "no line is known to be durable", row: "journal", judge: "lines of a journal are durable, want", changes: []mutation{{
			"engine/journal/journal.go", "if j.synced > j.told {", `if j.synced > j.told && !seeded("no line is known to be durable") {`}, {
			"engine/journal/seal.go", "	_, err := s.file.Write(s.memory)", `	if seeded("no line is known to be durable") {
		return nil
	}
	_, err := s.file.Write(s.memory)`}}},
		{fault: "runs verify finds all records well", row: "journal", judge: "kinfra runs verify calls", changes: []mutation{{
			"cmd/kinfra/verify.go", "	v, err := verify(store, id)", `	v, err := verify(store, id)
		if v.damage != nil && seeded("runs verify finds all records well") {
			v.Verdict = verdictOK
		}`}}},
		{fault: faultLate, row: "workflow", judge: "not on record as done|and ran again", changes: nil},
		{fault: faultBuffered, row: "workflow", judge: "not on record as done|without a record", changes: nil},
		{fault: "a step that is done runs again", row: "workflow", judge: "was done, and ran again", changes: []mutation{{
			"engine/replay.go", "p.CountsDone(own) || p.StaysFailed(own)):", `p.CountsDone(own) && !seeded("a step that is done runs again") || p.StaysFailed(own)):`}}},
		{fault: faultRelease, row: "stackflow", judge: "undisturbed, the state is", changes: nil},
		{fault: faultVolumes, row: "stacks", judge: "the volume is gone", act: deedDown, changes: nil},
		{fault: faultRelease, row: "stacks", judge: "left on the Engine|containers up", act: deedRelease, changes: nil},
		{fault: "nobody dies", row: "stacks", judge: "kills, want at least", act: deedClaim, changes: nil}, // see testdata/mortal.go.txt
	}
}

// mutations are the changes that all of them take.
func mutations() []mutation {
	all := sharedMutations()
	for _, m := range append(mutants(), rollbackFaults()...) {
		all = append(all, m.changes...)
	}
	return all
}
