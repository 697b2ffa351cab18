package claim

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// FuzzHistory holds the reading of claims that have ended against encoding/json.
func FuzzHistory(f *testing.F) {
	for _, text := range []string{
		`[]`, `null`, `{}`, `1`, `[1]`, `[{}]`, `[{"slot": 1, "worktree": "/w", "claimed_at": "2026-11-24T20:45:07.290872+00:00"}, {"slot": 2, "worktree": "\u003c\"\\é\u2028", "claimed_at": ""}]`,
		`[{"slot": "1"}]`, `[{"slot": 1.5}]`, `[{"slot": -1}]`, `[{"slot": 1e2}]`, `[{"slot": 99999999999999999999}]`, `[{"worktree": 1}]`, `[{"other": 1}]`, `[null]`, `[[]]`, `[{"slot": null}]`, `[{}`, "[{\"worktree\": \"\xff\"}]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got history
		if json.Unmarshal(data, &got) != nil {
			return // or another error of the same text: only what is accepted matters
		}
		var want []released
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%s: read as %v, encoding/json says %v", data, got, err)
		}
		written, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := json.Marshal(got); err != nil || !bytes.Equal(same, written) {
			t.Errorf("%s: read as %s, encoding/json reads %s", data, same, written)
		}
	})
}

// TestHistory: what is written is read, in its order.
func TestHistory(t *testing.T) {
	want := history{{1, "/home/u/<a> \"b\"", "2026-11-24T20:45:07.290872+00:00"}, {6, "/é", ""}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got history
	if err := json.Unmarshal(data, &got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: read as %v, %v", data, got, err)
	}
	for _, text := range []string{`null`, `{}`, `[1]`, `[null]`, `[{"slot": "1"}]`, `[{"slot": 1.5}]`, `[{"other": 1}]`, `[{"claimed_at": null}]`, "[{\"worktree\": \"\xff\"}]"} {
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}
