package compose

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
)

// FuzzSubstitute holds the short way of replacing variables against compose-go.
func FuzzSubstitute(f *testing.F) {
	for _, s := range []string{
		"", "a", "$", "$$", "$A", "${A}", "${A", "${}", "${1}", "x${A}y${B:-2}z", "${A:-}", "${B:-a:b-c?d+e}", "${A-1}", "${B?no}", "${E:-e}", "${U:-u}-${E}",
		"${U:-{}}", "${A:-{}x}", "${U:-${A}}", "${U:-a\nb}", "${U:-a}\n}", "}{${A}}", "${A }", "${A}$", "${U:-$$}", "${A:+1}", "${_:-\x00}", "${U:-ä}", "${ſ}", "a$${A}", "${A:}", "${U:-a}b}",
	} {
		f.Add(s)
	}
	env := map[string]string{"A": "1", "B": "${A}}", "E": "", "a": "2"}
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := template.Substitute(s, lookup)
		got, err := substitute(s, lookup)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("substitute(%q) = %q, %v, want %q, %v", s, got, err, want, wantErr)
		}
	})
}

func TestPlainReferences(t *testing.T) {
	for s, want := range map[string]int{"a": 0, "${A}": 1, "${A:-1}:${B}:80": 2, "$A": -1, "$$": -1, "${A-1}": -1, "${A:-${B}}": -1, "${A": -1} {
		all, _, ok := plainReferences(s)
		if got := len(all); ok != (want >= 0) || ok && got != want {
			t.Errorf("plainReferences(%q): got %d references, %t, want %d", s, got, ok, want)
		}
	}
}
