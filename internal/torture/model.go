package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// contested are the profiles of the slots that the workers claim, by number.
var contested = [...]string{profiles[0], profiles[0], profiles[0], profiles[0], profiles[0], profiles[1]}

// call is an operation of a worker as it begins.
type call struct {
	Kind  string `json:"kind"` // claim, release or list
	Tree  int    `json:"tree"`
	Least string `json:"least,omitempty"`
	Slot  int    `json:"slot,omitempty"`  // to be released
	Token string `json:"token,omitempty"` // that is shown for it
}

// answer is how it ended.
type answer struct {
	Outcome string              `json:"outcome"`
	Slot    int                 `json:"slot,omitempty"`
	Token   string              `json:"token,omitempty"`
	Renewed bool                `json:"renewed,omitempty"`
	Holders [len(contested)]int `json:"holders,omitzero"` // of a list: who holds each slot, as holder.tree has it
	Error   string              `json:"error,omitempty"`
}

// The kinds of operations and their outcomes.
const (
	kindClaim   = "claim"
	kindRelease = "release"
	kindList    = "list"

	done      = "done"
	noneFree  = "none free"
	tooLight  = "holds a lighter one" // for a claim of a worktree that holds a slot
	notHolder = "not the holder"
	failed    = "failed"  // by an error that no operation may end with
	unknown   = "unknown" // its process was killed: it has happened before that, or not at all
)

// holder is who holds a slot.
type holder struct {
	tree  int    // the worktree's number + 1; 0 for nobody
	token string // empty where only a killed process was told
}

// state is who holds the slots.
type state [len(contested)]holder

// model is what claims are to be as if they happened one after another.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any {
			var next []any
			for _, s := range s.(state).step(in.(call), out.(answer)) {
				next = append(next, s)
			}
			return next
		},
		DescribeOperation: func(in, out any) string { return describe(in.(call), out.(answer)) },
	}
	return m.ToModel()
}

// step is what a state may be after an operation: nothing if it can't have ended so.
func (s state) step(in call, out answer) []state {
	if out.Outcome == unknown {
		after, _ := s.apply(in)
		if after == s {
			return []state{s}
		}
		return []state{s, after}
	}
	if in.Kind == kindList {
		if out.Holders == s.trees() {
			return []state{s}
		}
		return nil
	}
	after, want := s.apply(in)
	if want.Outcome != out.Outcome {
		return nil
	}
	if in.Kind == kindClaim && out.Outcome == done {
		known := after[want.Slot-1].token
		if want.Slot != out.Slot || want.Renewed != out.Renewed || known != "" && known != out.Token {
			return nil
		}
		after[want.Slot-1].token = out.Token
	}
	return []state{after}
}

// apply is what an operation makes of a state, and how it ends.
func (s state) apply(in call) (state, answer) {
	if in.Kind == kindRelease {
		if s[in.Slot-1].token != in.Token {
			return s, answer{Outcome: notHolder}
		}
		s[in.Slot-1] = holder{}
		return s, answer{Outcome: done}
	}
	if in.Kind == kindList {
		return s, answer{Outcome: done}
	}
	least := slices.Index(profiles[:], in.Least)
	weight := func(i int) int { return slices.Index(profiles[:], contested[i]) }
	if i := slices.Index(sliceOf(s.trees()), in.Tree+1); i >= 0 {
		if weight(i) < least {
			return s, answer{Outcome: tooLight}
		}
		return s, answer{Outcome: done, Slot: i + 1, Renewed: true}
	}
	best := -1
	for i, h := range s {
		if h.tree == 0 && weight(i) >= least && (best < 0 || weight(i) < weight(best)) {
			best = i
		}
	}
	if best < 0 {
		return s, answer{Outcome: noneFree}
	}
	s[best] = holder{tree: in.Tree + 1}
	return s, answer{Outcome: done, Slot: best + 1}
}

func (s state) trees() (all [len(contested)]int) {
	for i, h := range s {
		all[i] = h.tree
	}
	return all
}

func sliceOf(all [len(contested)]int) []int { return all[:] }

func describe(in call, out answer) string {
	text := fmt.Sprintf("%s by tree-%d", in.Kind, in.Tree)
	switch {
	case in.Kind == kindRelease:
		text += fmt.Sprintf(" of slot %d under %.4s…", in.Slot, in.Token)
	case in.Kind == kindClaim:
		text += " of at least " + in.Least
	}
	text += ": " + out.Outcome
	switch {
	case in.Kind == kindList:
		text += fmt.Sprint(" ", out.Holders)
	case out.Slot > 0:
		text += fmt.Sprintf(", slot %d under %.4s…", out.Slot, out.Token)
	}
	return text
}

// linearizable says why a history is not; nothing if it is. What can't be decided in
// time counts as not.
func linearizable(history []porcupine.Operation, within time.Duration) string {
	result, info := porcupine.CheckOperationsVerbose(model(), history, within)
	switch result {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return fmt.Sprintf("whether the %d operations are linearizable could not be decided in %s", len(history), within)
	}
	return fmt.Sprintf("the %d operations are not linearizable: %s", len(history), impasse(history, info))
}

// impasse tells where the longest order that could be found for a history ends.
func impasse(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, found := range part {
			if len(found) > len(longest) {
				longest = found
			}
		}
	}
	var last []string
	for _, op := range longest[max(0, len(longest)-6):] {
		last = append(last, describe(op.Input.(call), op.Output.(answer)))
	}
	ordered := map[[2]int64]bool{}
	for _, op := range longest {
		ordered[[2]int64{op.Call, op.Return}] = true
	}
	text := "after [" + strings.Join(last, "; ") + "]"
	left := slices.DeleteFunc(slices.Clone(history), func(op porcupine.Operation) bool { return ordered[[2]int64{op.Call, op.Return}] })
	if len(left) == 0 {
		return text
	}
	first := slices.MinFunc(left, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	return text + " this has no place: " + describe(first.Input.(call), first.Output.(answer))
}
