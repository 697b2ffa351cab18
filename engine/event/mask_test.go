package event_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/mask"
)

// unmasked is the texts of an event that are not masked, with why that must be.
func unmasked() map[string]string {
	const (
		name  = "a run finds its steps by it; no step is begun whose name has a value, and no value taken that a name has"
		word  = "one of a few words"
		again = "a run goes on with it; no value is taken that it has"
	)
	return map[string]string{
		"Type": word, "Kind": word, "Status": word, "Output.Stream": word, "Changes.Kind": word, "Changes.Mode": word, "Question.Kind": word, "Answer.By": word,
		"Key": name, "After": name, "Needs": name, "Changes.Step": name,
		"Branch":        "numbers",
		"Scripts":       "the name of a file that kinfra makes",
		"File":          "what a run that goes on finds again; it comes with the scripts, as Data does, which are kept as they are",
		"Places.Key":    name,
		"Places.Branch": "numbers",
		"Places.After":  name,
		"Run.ID":        "made by kinfra",
		"Run.Args":      again,
		"Run.Dir":       again,
		"Run.Root":      again,
		"Run.Kinfra":    "the version of the binary",
		"Question.Flag": "the name of a flag, which the script declares before anything runs",
	}
}

const canary = "c4nary-value"

// TestEachTextIsMasked puts a value into each text that an event has, one after the other. A
// new field fails it until it is masked, or stands above with a reason.
func TestEachTextIsMasked(t *testing.T) {
	var set mask.Set
	set.Add(canary)
	kept := unmasked()
	texts := textsOf(reflect.TypeFor[event.Event](), nil)
	if len(texts) < 40 {
		t.Fatalf("only %d texts were found: the test doesn't see the events", len(texts))
	}
	for _, path := range texts {
		name := strings.Join(path, ".")
		e := reflect.New(reflect.TypeFor[event.Event]())
		fill(e.Elem(), path)
		before := toJSON(t, e.Interface())
		if !strings.Contains(before, canary) {
			t.Fatalf("%s: the test can't put a value there: %s", name, before)
		}
		masked := toJSON(t, e.Interface().(*event.Event).Masked(&set))
		_, stays := kept[name]
		switch got := !strings.Contains(masked, canary); {
		case got == stays:
			t.Errorf("%s: masked: %t, and it stands among those that stay: %t: mask it, or say there why not", name, got, stays)
		case got && !strings.Contains(masked, mask.Hidden):
			t.Errorf("%s is lost: %s", name, masked)
		}
		delete(kept, name)
		if after := toJSON(t, e.Interface()); after != before {
			t.Errorf("%s: the event itself has changed to %s", name, after)
		}
	}
	for name := range kept {
		t.Errorf("%s stands among those that stay, and there is no such text", name)
	}
}

// textsOf is the ways to all texts in values of a type.
func textsOf(of reflect.Type, path []string) (all [][]string) {
	switch {
	case of == reflect.TypeFor[json.RawMessage](), of.Kind() == reflect.String:
		return [][]string{append([]string(nil), path...)}
	case of.Kind() == reflect.Pointer, of.Kind() == reflect.Slice:
		return textsOf(of.Elem(), path)
	case of.Kind() == reflect.Map, of.Kind() == reflect.Interface:
		panic("an event has a map or an interface: teach this test to look into it")
	case of.Kind() == reflect.Struct && of.PkgPath() != "time":
		for i := range of.NumField() {
			all = append(all, textsOf(of.Field(i).Type, append(path, of.Field(i).Name))...)
		}
	}
	return all
}

// fill puts the value at the end of a way.
func fill(v reflect.Value, path []string) {
	switch {
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"a":["` + canary + ` and more"]}`))
	case v.Kind() == reflect.String:
		v.SetString("with " + canary + " in it")
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(1), path)
	default:
		fillNeeded(v)
		fill(v.FieldByName(path[0]), path[1:])
	}
}

// fillNeeded gives a struct what its JSON can't do without.
func fillNeeded(v reflect.Value) {
	if a, ok := v.Addr().Interface().(*event.Answer); ok {
		a.Value = json.RawMessage("true")
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestNothingToMask(t *testing.T) {
	e := &event.Event{Type: event.Said, Text: canary}
	if got := e.Masked(new(mask.Set)); got != e {
		t.Error("an event was copied, though there is nothing to mask")
	}
}

// TestResultsOfStepsStay: a run that goes on needs them; no step ends well whose result has a
// value. What a run returned is only shown.
func TestResultsOfStepsStay(t *testing.T) {
	var set mask.Set
	set.Add("struct")
	for kind, want := range map[event.Type]string{event.Ended: `{"$struct":{}}`, event.RunEnded: `{"$***":{}}`} {
		e := event.Event{Type: kind, Result: json.RawMessage(`{"$struct":{}}`)}
		if got := string(e.Masked(&set).Result); got != want {
			t.Errorf("%s: the result is %s, want %s", kind, got, want)
		}
	}
}
