package envfile_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/ktrdr/kinfra/internal/envfile"
)

func TestDecode(t *testing.T) {
	t.Setenv("OUTSIDE", "must not be seen")
	for _, tt := range []struct {
		name string
		data string
		want map[string]string
	}{
		{"nothing", "", map[string]string{}},
		{"comments and blank lines", "# a\n\n  # b\nA=1\n\n", map[string]string{"A": "1"}},
		{"no final newline", "A=1\nB=2", map[string]string{"A": "1", "B": "2"}},
		{"carriage returns", "A=1\r\nB=2\r\n", map[string]string{"A": "1", "B": "2"}},
		{"byte order mark", "\ufeffA=1\n", map[string]string{"A": "1"}},
		{"export", "export A=1\n", map[string]string{"A": "1"}},
		{"the last of two", "A=1\nA=2\n", map[string]string{"A": "2"}},
		{"comment behind a value", "A=1 # one\nB=2#2\n", map[string]string{"A": "1", "B": "2#2"}},
		{"quotes", "A='a $B'\nB=\"a\\tb\"\n", map[string]string{"A": "a $B", "B": "a\tb"}},
		{"several lines", "A='1\n2'\nB=3\n", map[string]string{"A": "1\n2", "B": "3"}},
		{"variables of the file", "A=1\nB=$A-${A}-${C:-3}\n", map[string]string{"A": "1", "B": "1-1-3"}},
		{"a variable from outside", "A=${OUTSIDE:-default}\nOUTSIDE\nB=2\n", map[string]string{"A": "default", "B": "2"}},
		{"a name alone at the end", "A=1\nOUTSIDE", map[string]string{"A": "1"}},
		{"no name", "=1\nA=2\n", map[string]string{"A": "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := envfile.Decode([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDecodeNamesTheLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		line int
		says string
	}{
		{"unclosed quote", "A=1\nB='secret\nC=3\nD=4\n", 2, "no closing quote"},
		{"unclosed quote behind a value of several lines", "A='1\n2'\nB=\"secret\n", 3, "no closing quote"},
		{"character in a name", "\n# c\nA!B=secret\n", 3, `"!"`},
		{"no file of variables", "secret { }\n", 1, `"{"`},
		{"space in a name", "A=1\nsecret things\n", 2, "space"},
		{"dollar", "A=1\n\nB=${secret\n", 3, "$"},
		{"dollar behind a variable of the file", "A=1\nB=$A\nC=${1secret}\n", 3, "$"},
		{"behind a required variable of the file", "A=1\nB=${A:?secret}\nC=${1secret}\n", 3, "$"},
		{"required variable", "A=1\nB=${C:?secret}\n", 2, "C is missing"},
		{"in a value of several lines", "A=1\nB=\"x\n${secret!}\"\n", 2, "$"},
		{"last line without newline", "A=1\nB='secret", 2, "no closing quote"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := envfile.Decode([]byte(tt.data))
			syntax, ok := errors.AsType[*envfile.SyntaxError](err)
			if !ok {
				t.Fatalf("got %q, %v; want a SyntaxError", got, err)
			}
			if syntax.Line != tt.line || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q; want line %d, %q, and nothing of the value", err, tt.line, tt.says)
			}
		})
	}
}

func TestDecodeRefusesLargeFiles(t *testing.T) {
	_, err := envfile.Decode([]byte(strings.Repeat("#\n", envfile.MaxSize/2) + "#"))
	if !errors.Is(err, envfile.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// FuzzDecode holds Decode against the library of Compose itself.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"A=1\nB='2\n3'\nC=\"$A\"\n", "A=${B:-${C:?x}}\nA!=1", "\ufeff# c\n\u2028 export \t A = 1 # c\r\nB: x", "export\nA=1", "export ", "exportA=1", "export",
		"A b=1", "A b\n", "A b", "A\tb=1", "=x\n", "A=\"x\" B=y\n", "A='x'y!", "A=#x\nB= #x\nC=x#y", "a.b-c[0]=1\né=2\n１=3", "A=\"\xff\"\n\xff=1", "A\u00a0=\u00851",
		`A="\a\b\c\e\f\n\r\t\v\$\"\\\'\q\"`, `A="\0101\0377\0400\0128\012\0\01234\"$A"`, `A='\'\\\'`, `A="\\" B="\\\""`, `A=\n"x"`, "A=$$B ${A:+x}", `A="\$B\\$B"`, `A="x\`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := envfile.Decode(data)
		want, wantErr := dotenv.Parse(bytes.NewReader(data))
		delete(want, "") // what dotenv makes of a line without a name
		if len(data) <= envfile.MaxSize && ((err == nil) != (wantErr == nil) || err == nil && !maps.Equal(got, want)) {
			t.Errorf("%q: got %q, %v; dotenv reads %q, %v", data, got, err, want, wantErr)
		}
		if err == nil {
			return
		}
		if syntax, ok := errors.AsType[*envfile.SyntaxError](err); ok {
			if last := strings.Count(string(data), "\n") + 1; syntax.Line < 1 || syntax.Line > last {
				t.Errorf("%q: %v; the file has %d lines", data, err, last)
			}
		}
	})
}
