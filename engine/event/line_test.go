package event

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
)

// Whatever fields an event has, its line says the same as package json would: none is
// forgotten.
func TestAppendLine(t *testing.T) {
	read, exit := time.Unix(1, 2).UTC(), 3
	full := Event{
		Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600)), Type: Ended,
		Key: "a/b c", Kind: Step, Branch: "0.1", After: "x", Leg: 2, At: "./a.star:1:2", Status: Passed, Seconds: 1.5e-7, Result: json.RawMessage(`{"$struct":{"x":[1e300]}}`),
		Undoable: true, Replayed: true, Needs: []string{"n"}, Problems: []diag.Diagnostic{{Message: "m"}}, Pause: 0.2,
		Name: "name", Text: "text", Output: []Piece{{"stdout", "o\n", true}}, Omitted: 9, Read: &read, Question: &Question{ID: 1, Message: "m"}, Answer: &Answer{Value: json.RawMessage(`true`), By: ByYes},
		Run: &Run{Version: 1}, Exit: &exit, Undo: true, Scripts: "scripts-2.json", File: "file//x.star", Data: []byte("data"), Places: []Place{{Key: "k", Leg: 1}},
		Changes: []Change{{Kind: "remove", Path: "x"}}, MoreChanges: 1, DryRun: true,
	}
	fields := reflect.ValueOf(full)
	for i := range fields.NumField() {
		if fields.Field(i).IsZero() {
			t.Fatalf("the test has no value for %s", fields.Type().Field(i).Name)
		}
	}
	check := func(what string, e Event) {
		t.Helper()
		line, err := AppendLine([]byte("before"), &e)
		if err != nil || bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("%s: %q is no line (%v)", what, line, err)
		}
		wanted, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(bytes.TrimPrefix(line, []byte("before")), &got); err != nil {
			t.Fatalf("%s: %v in %s", what, err, line)
		}
		if err := json.Unmarshal(wanted, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the line is\n%s\nwant\n%s (%v)", what, line, wanted, err)
		}
	}
	check("all", full)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		with := Event{Seq: 1, Type: Began, Key: "k"}
		reflect.ValueOf(&with).Elem().Field(i).Set(fields.Field(i))
		check("with "+name, with)
		without := full
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		check("without "+name, without)
	}
	for _, key := range []string{"é", "\"", "\\", "\x00", "\n", "\xff", "<&>", "\u2028", "\x7f"} {
		check("a key", Event{Type: Began, Key: key, Branch: key})
	}
	seconds := []float64{0, 1, 1e-9, 0.1, 1e22, 123456.789, -1, 1.5e-10, 1.0000000001, 1e6, 999999.999999999, 1e6 + 1e-9}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		took := time.Duration(random.Int64N(1 << (1 + random.IntN(52))))
		seconds = append(seconds, took.Seconds(), random.ExpFloat64())
	}
	for _, seconds := range seconds {
		check("seconds", Event{Type: Ended, Key: "k", Seconds: seconds})
	}
}
