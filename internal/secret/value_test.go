package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
)

// valueOf is a secret as it is read.
func valueOf(t testing.TB, text string) secret.Value {
	t.Helper()
	w := world.NewFake()
	w.Env["SECRET"] = text
	return mustResolve(t, w.World(), "env://SECRET")
}

func TestValuePrintsNothing(t *testing.T) {
	const canary = "c4nary"
	value := valueOf(t, canary)
	if value.Reveal() != canary || !value.Known() {
		t.Fatalf("Reveal gives %q, Known %t", value.Reveal(), value.Known())
	}
	inside := struct {
		hidden secret.Value
		Shown  secret.Value
		Many   []secret.Value
		ByName map[string]secret.Value
		Any    any
	}{value, value, []secret.Value{value}, map[string]secret.Value{"a": value}, value}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%10.3s", "%w", "%p", "%U"} {
		for _, v := range []any{value, &value, inside, &inside, []any{value}} {
			printed := fmt.Sprintf(verb, v)
			if holds(printed, canary) {
				t.Errorf("%s of %T prints %s", verb, v, printed)
			}
		}
	}
	for verb, want := range map[string]string{"%v": "***", "%s": "***", "%d": "***", "%q": "***", "%#v": "***"} {
		if got := fmt.Sprintf(verb, value); got != want {
			t.Errorf("%s prints %s, want %s", verb, got, want)
		}
	}
	if value.String() != "***" || value.GoString() != "***" {
		t.Errorf("String is %s, GoString is %s", value.String(), value.GoString())
	}
	for _, v := range []any{value, &value, inside, map[string]any{"a": value}} {
		if data, err := json.Marshal(v); err == nil {
			t.Errorf("the JSON of %T is %s, want an error", v, data)
		} else if holds(err.Error(), canary) {
			t.Errorf("the JSON of %T fails with %v", v, err)
		}
	}
}

// holds tells whether text has a canary in it, as it is or as numbers.
func holds(text, canary string) bool {
	return strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", canary)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(canary)), "[]"))
}

func TestUnknownValue(t *testing.T) {
	var v secret.Value
	if v.Known() || v.Reveal() != "***" || fmt.Sprint(v) != "***" {
		t.Errorf("the zero Value is known: %t, reveals %q and prints %v", v.Known(), v.Reveal(), v)
	}
}
