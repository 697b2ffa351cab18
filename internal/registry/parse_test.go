package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// slotWith is the entry of slot 1 with one part replaced.
func slotWith(old, new string) string {
	const whole = `{"version": 2, "slots": {"1": {"slot_id": 1, "infrastructure_path": "/p", "profile": "small", ` +
		`"workers": {"batch": 1}, "ports": {"web": 8001}, "claimed_by": null, "claimed_at": null, "status": "stopped"}}}`
	if !strings.Contains(whole, old) {
		panic("there is no " + old)
	}
	return strings.Replace(whole, old, new, 1)
}

func TestDamage(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"no byte", "", "the file is empty, as a write that was cut short leaves it"},
		{"only blanks", " \n\n", "the file is empty, as a write that was cut short leaves it"},
		{"not JSON", "version: 2\n", "line 1, column 1 (byte 0): not JSON: invalid character 'v' looking for beginning of value"},
		{"cut short", "{\n  \"version\": 2,\n", "line 2, column 16 (byte 17): not JSON: unexpected end of JSON input"},
		{"more behind it", "{}\n{}", "line 2, column 1 (byte 3): not JSON: invalid character '{' after top-level value"},
		{"zeros", "\x00\x00\x00", "line 1, column 1 (byte 0): not JSON: invalid character '\\x00' looking for beginning of value"},
		{"not UTF-8", "{\"version\": 2, \"x\": \"\xff\"}", "line 1, column 22 (byte 21): not UTF-8"},
		{"a byte order mark", "\ufeff{}", "line 1, column 1 (byte 0): not JSON: invalid character 'ï' looking for beginning of value"},
		{"an array", "[]", `line 1, column 1 (byte 0): want an object, got an array`},
		{"a number", "2", `line 1, column 1 (byte 0): want an object, got 2`},
		{"nested 65 deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), "line 1, column 65 (byte 64): nested deeper than 64 levels"},
		{"nested without end", strings.Repeat("[", 10<<20), "line 1, column 65 (byte 64): nested deeper than 64 levels"},
		{"large", strings.Repeat(" ", MaxSize+1), "larger than 32 MiB"},

		{"version 3", `{"version": 3, "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got 3 (a newer tool may have written the file)`},
		{"version 0", `{"version": 0}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got 0`},
		{"version text", `{"version": "2", "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got "2"`},
		{"version fraction", `{"version": 2.5, "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got 2.5`},
		{"version 2.0", `{"version": 2.0, "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got 2.0`},
		{"version true", `{"version": true, "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got true`},
		{"version null", `{"version": null, "slots": {}}`, `line 1, column 13 (byte 12): "version": want the integer 1 or 2, got null`},
		{"no version, slots", `{"slots": {}}`, `"version": missing, although there are slots`},
		{"version 1, slots", `{"version": 1, "slots": {}}`, `line 1, column 25 (byte 24): "slots": present, although the version is 1`},
		{"version 2, no slots", `{"version": 2, "instances": {}}`, `"slots": missing, although the version is 2`},
		{"version twice", `{"version": 2, "version": 2, "slots": {}}`, `line 1, column 16 (byte 15): "version": the key stands twice`},
		{"slots twice", `{"version": 2, "slots": {}, "sl\u006fts": {}}`, `line 1, column 29 (byte 28): "slots": the key stands twice`},
		{"slots null", `{"version": 2, "slots": null}`, `line 1, column 25 (byte 24): "slots": want an object, got null`},
		{"slots an array", `{"version": 2, "slots": []}`, `line 1, column 25 (byte 24): "slots": want an object, got an array`},
		{"instances an array", `{"version": 2, "instances": [], "slots": {}}`, `line 1, column 29 (byte 28): "instances": want an object, got an array`},
		{"instance twice", `{"version": 1, "instances": {"a": 1, "a": 2}}`, `line 1, column 38 (byte 37): "instances.a": the key stands twice`},
		{"local_prod a text", `{"version": 1, "local_prod": ""}`, `line 1, column 30 (byte 29): "local_prod": want an object or null, got ""`},

		{"slot null", `{"version": 2, "slots": {"1": null}}`, `line 1, column 31 (byte 30): "slots.1": want an object, got null`},
		{"slot 0", slotWith(`"1": {`, `"0": {`), `line 1, column 26 (byte 25): "slots.0": want a slot number from 1 to 65535 as the key`},
		{"slot 01", slotWith(`"1": {`, `"01": {`), `line 1, column 26 (byte 25): "slots.01": want a slot number from 1 to 65535 as the key`},
		{"slot x", slotWith(`"1": {`, `"x": {`), `line 1, column 26 (byte 25): "slots.x": want a slot number from 1 to 65535 as the key`},
		{"slot 10^6", slotWith(`"1": {`, `"1000000": {`), `line 1, column 26 (byte 25): "slots.1000000": want a slot number from 1 to 65535 as the key`},
		{"slot twice", `{"version": 2, "slots": {` + slotWith("", "")[25:len(slotWith("", ""))-2] + `, "1": {}}}`, `"slots.1": the key stands twice`},
		{"another slot's number", slotWith(`"slot_id": 1`, `"slot_id": 2`), `line 1, column 43 (byte 42): "slots.1.slot_id": want 1, as the slot's key, got 2`},
		{"a text for the number", slotWith(`"slot_id": 1`, `"slot_id": "1"`), `line 1, column 43 (byte 42): "slots.1.slot_id": want 1, as the slot's key, got "1"`},
		{"no number", slotWith(`"slot_id": 1, `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key slot_id`},
		{"no path", slotWith(`"infrastructure_path": "/p", `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key infrastructure_path`},
		{"no profile", slotWith(`"profile": "small", `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key profile`},
		{"no workers", slotWith(`"workers": {"batch": 1}, `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key workers`},
		{"no ports", slotWith(`"ports": {"web": 8001}, `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key ports`},
		{"no holder", slotWith(`"claimed_by": null, `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key claimed_by`},
		{"no time of the claim", slotWith(`"claimed_at": null, `, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key claimed_at`},
		{"no status", slotWith(`, "status": "stopped"`, ``), `line 1, column 31 (byte 30): "slots.1": lacks the key status`},
		{"path null", slotWith(`"/p"`, `null`), `"slots.1.infrastructure_path": want a string, got null`},
		{"profile a number", slotWith(`"small"`, `1`), `"slots.1.profile": want a string, got 1`},
		{"workers an array", slotWith(`{"batch": 1}`, `[1]`), `"slots.1.workers": want an object, got an array`},
		{"a worker's count a fraction", slotWith(`{"batch": 1}`, `{"batch": 1.5}`), `"slots.1.workers.batch": want an integer, got 1.5`},
		{"a port a text", slotWith(`8001`, `"8001"`), `"slots.1.ports.web": want an integer, got "8001"`},
		{"a port null", slotWith(`8001`, `null`), `"slots.1.ports.web": want an integer, got null`},
		{"a port of 30 digits", slotWith(`8001`, strings.Repeat("9", 30)), `"slots.1.ports.web": want an integer, got 999999999999999999999999999999`},
		{"a port twice", slotWith(`"web": 8001`, `"web": 8001, "web": 8001`), `"slots.1.ports.web": the key stands twice`},
		{"a key twice", slotWith(`"profile": "small"`, `"profile": "small", "profile": "small"`), `"slots.1.profile": the key stands twice`},
		{"an unknown key twice", slotWith(`"profile": "small"`, `"x": 1, "profile": "small", "x": 2`), `"slots.1.x": the key stands twice`},
		{"claimed by a number", slotWith(`"claimed_by": null`, `"claimed_by": 1`), `"slots.1.claimed_by": want a string or null, got 1`},
		{"claimed at an object", slotWith(`"claimed_at": null`, `"claimed_at": {}`), `"slots.1.claimed_at": want a string or null, got an object`},
		{"status null", slotWith(`"stopped"`, `null`), `"slots.1.status": want a string, got null`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Parse([]byte(test.data))
			if err == nil {
				t.Fatalf("it was read as %s", r.JSON())
			}
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%v is not ErrDamaged", err)
			}
			if got := err.Error(); !strings.HasSuffix(got, test.want+"; nothing was changed") {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// What the older tools read, kinfra reads, too.
func TestLenience(t *testing.T) {
	for _, test := range []struct{ name, data string }{
		{"keys unknown to us", slotWith(`"slot_id": 1`, `"x": [], "slot_id": 1`)},
		{"another status", slotWith(`"stopped"`, `"paused"`)},
		{"a profile of nobody's", slotWith(`"small"`, `"gigantic"`)},
		{"a port out of range", slotWith(`8001`, `-1`)},
		{"a path that wasn't UTF-8", slotWith(`"claimed_by": null`, `"claimed_by": "/\udcff"`)},
		{"a newline at the end", slotWith("", "") + "\n"},
		{"records of another form", slotWith(`"slots"`, `"instances": {"a": null, "b": [1]}, "local_prod": {"x": 1}, "slots"`)},
		{"nested 64 deep", slotWith(`"slots"`, `"x": `+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`, "slots"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := parsed(t, []byte(test.data))
			if len(r.Slots()) != 1 {
				t.Fatalf("the slots are %v", r.Slots())
			}
			var want, got bytes.Buffer
			if err := json.Compact(&want, []byte(test.data)); err != nil {
				t.Fatal(err)
			}
			if err := json.Compact(&got, r.JSON()); err != nil {
				t.Fatal(err)
			}
			if got.String() != strings.TrimSuffix(want.String(), "\n") {
				t.Errorf("got  %s\nwant %s", got.String(), want.String())
			}
		})
	}
}

func TestEveryTruncation(t *testing.T) {
	for _, name := range []string{"v1.json", "v2.json"} {
		data := bytes.TrimSpace(fixture(t, name))
		for n := range data {
			if r, err := Parse(data[:n]); err == nil {
				t.Fatalf("the first %d bytes of %s were read as %s", n, name, r.JSON())
			}
		}
	}
}

// A flipped bit within a text gives another text, which no reader can tell. But
// no slot and no claim may go.
func TestBitFlips(t *testing.T) {
	data := fixture(t, "v2.json")
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 10000 {
		flipped := bytes.Clone(data)
		bit := random.IntN(8 * len(data))
		flipped[bit/8] ^= 1 << (bit % 8)
		r, err := Parse(flipped)
		if err != nil {
			refused++
			continue
		}
		if len(r.Slots()) != 3 {
			t.Fatalf("with bit %d flipped, %d slots were read", bit, len(r.Slots()))
		}
		if s, _ := r.Slot(2); s.ClaimedBy == "" {
			t.Fatalf("with bit %d flipped, the claim was lost", bit)
		}
	}
	if refused < 1000 {
		t.Errorf("of 10,000 only %d were refused", refused)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"v1.json", "v2.json"} {
		f.Add(fixture(f, name))
	}
	for _, s := range []string{"", "{}", slotWith("", ""), `{"version": 2, "slots": {"1": {}}}`, "[[[", `{"a": "\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || r != nil {
				t.Fatalf("the error is %v, the registry %v", err, r)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatal("what isn't JSON was read")
		}
		written := r.JSON()
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("what was written isn't read: %v\n%s", err, written)
		}
		if again.Version() != 2 || !bytes.Equal(again.JSON(), written) {
			t.Fatalf("it doesn't come back the same:\n%s\n%s", written, again.JSON())
		}
		for _, s := range r.Slots() {
			if other, ok := again.Slot(s.ID); !ok || !s.equal(other) {
				t.Fatalf("slot %d comes back as %+v", s.ID, other)
			}
		}
	})
}
