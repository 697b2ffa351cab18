package interpolate_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/sirupsen/logrus"

	"github.com/ktrdr/kinfra/internal/interpolate"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // where compose-go's template warns of unset variables
	os.Exit(m.Run())
}

var env = map[string]string{"A": "1", "B": "${A}}", "E": "", "a": "2", "ſ": "3", "NAME_2": "4"}

func lookup(name string) (string, bool) {
	value, ok := env[name]
	return value, ok
}

func TestSubstitute(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$A": "1", "$A$a.": "12.", "${A}": "1", "x${A}y": "x1y", "${NAME_2}": "4", "$U": "", "${U}": "",
		"$$": "$", "$$A": "$A", "$$$A": "$1", "$": "$", "a$": "a$", "$1": "$1", "$ A": "$ A", "$-": "$-",
		"${U:-2}": "2", "${E:-2}": "2", "${A:-2}": "1", "${U-2}": "2", "${E-2}": "", "${A-2}": "1", "${U:-}": "", "${U:-a:b-c?d+e}": "a:b-c?d+e",
		"${U:+2}": "", "${E:+2}": "", "${A:+2}": "2", "${U+2}": "", "${E+2}": "2", "${A+2}": "2",
		"${A:?no}": "1", "${A?no}": "1", "${E?no}": "",
		"${U:-${A}}": "1", "${U:-${V:-${a}}}": "2", "${U:-x$A}y${A}": "x1y1", "${U:-a}-${V:-b}": "a-b", "${U:-$$}": "$",
		"${U:-{}}": "{}", "${U:-{\"k\": 1}}": "{\"k\": 1}", "${U:-a}b}": "ab}", "$B": "${A}}", "${U:-a}\n}": "a\n}",
	} {
		if got, err := interpolate.Substitute(text, lookup); err != nil || got != want {
			t.Errorf("Substitute(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestSubstituteRefuses(t *testing.T) {
	for _, text := range []string{"${", "${}", "${A", "${1}", "${ A}", "${A }", "${A:}", "${A:x}", "${A*}", "${U:-a\nb}", "x$A ${", "${U:-${}}", "${U?${}}"} {
		if got, err := interpolate.Substitute(text, lookup); !errors.Is(err, interpolate.ErrInvalid) {
			t.Errorf("Substitute(%q) = %q, %v, want ErrInvalid", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"${U:?set it, $A}": "required variable U is missing a value: set it, 1", "${E:?}": "required variable E is missing a value",
		"${U?x}": "required variable U is missing a value: x", "${U:-${V?}}${": "required variable V is missing a value",
	} {
		_, err := interpolate.Substitute(text, lookup)
		missing, ok := errors.AsType[*interpolate.MissingError](err)
		if !ok || err.Error() != want {
			t.Errorf("Substitute(%q): %v, want %s", text, err, want)
		}
		if theirs, ok := errors.AsType[*template.MissingRequiredError](templateError(text)); !ok || missing == nil || theirs.Variable != missing.Name || theirs.Error() != err.Error() {
			t.Errorf("Substitute(%q): %v, compose-go says %v", text, err, theirs)
		}
	}
}

func TestCanFail(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "plain": false, "$A": false, "$$": false, "$${": false, "$": false, "a ? b": false, "$A?": false,
		"${A}": false, "${A:-x}${B-y}${C+z}": false, "${A:-${B:-?}}": false,
		"${A:?x}": true, "${A?}": true, "${A:-${B?x}}": true, "${A:+${B?x}}": true, "x${A}${B?y}": true, "${": true, "${A:-${}}": true, "$$${": true,
	} {
		if got := interpolate.CanFail(text); got != want {
			t.Errorf("CanFail(%q) = %v, want %v", text, got, want)
		}
	}
}

func templateError(text string) error {
	_, err := template.Substitute(text, lookup)
	return err
}

// FuzzSubstitute holds the package against compose-go.
func FuzzSubstitute(f *testing.F) {
	for _, s := range []string{
		"", "a", "$", "$$", "$A", "${A}", "${A", "${}", "${1}", "x${A}y${B:-2}z", "${A:-}", "${B:-a:b-c?d+e}", "${A-1}", "${B?no}", "${E:-e}", "${U:-u}-${E}",
		"${U:-{}}", "${A:-{}x}", "${U:-${A}}", "${U:-a\nb}", "${U:-a}\n}", "}{${A}}", "${A }", "${A}$", "${U:-$$}", "${A:+1}", "${_:-\x00}", "${U:-ä}", "${ſ}", "a$${A}", "${A:}", "${U:-a}b}",
		"$\u212a", "${U:-{a}}", "${U:-{{}}}x}", "${U:-${A}-${B}}${C:?x}", "${A:-x}${", "${E:+x}", "${E+x}", "${U:?${V:-why}}", "${U:-\xff}\xff", "$a1_\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := template.Substitute(s, lookup)
		got, err := interpolate.Substitute(s, lookup)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("Substitute(%q) = %q, %v, want %q, %v", s, got, err, want, wantErr)
		}
		if interpolate.CanFail(s) {
			return
		}
		for _, lookup := range []interpolate.Lookup{
			lookup,
			func(string) (string, bool) { return "", false },
			func(string) (string, bool) { return "", true },
			func(string) (string, bool) { return "set", true },
		} {
			if _, err := interpolate.Substitute(s, lookup); err != nil {
				t.Errorf("Substitute(%q) can't fail, and does: %v", s, err)
			}
		}
	})
}
