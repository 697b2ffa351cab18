package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/interpolate"
)

func parse(t *testing.T, data string) *compose.File {
	t.Helper()
	f, err := compose.Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVariables(t *testing.T) {
	type v = compose.Variable
	for _, tt := range []struct {
		name, value string // value is that of one key, on line 3
		want        []v
	}{
		{"none", `x`, nil},
		{"plain", `$A`, []v{{Name: "A", Line: 3}}},
		{"braces", `a${A_1}b`, []v{{Name: "A_1", Line: 3}}},
		{"default", `${A:-8000}`, []v{{Name: "A", Default: "8000", HasDefault: true, Line: 3}}},
		{"default if unset", `${A-8000}`, []v{{Name: "A", Default: "8000", HasDefault: true, Line: 3}}},
		{"empty default", `${A:-}`, []v{{Name: "A", HasDefault: true, Line: 3}}},
		{"required", `${A:?give a value}`, []v{{Name: "A", Required: true, Line: 3}}},
		{"required if unset", `${A?}`, []v{{Name: "A", Required: true, Line: 3}}},
		{"alternative", `${A:+$B}${C+${D}}`, []v{{Name: "A", Line: 3}, {Name: "B", Line: 3}, {Name: "C", Line: 3}, {Name: "D", Line: 3}}},
		{"nested", `${A:-${B:-c}}`, []v{{Name: "A", Default: "${B:-c}", HasDefault: true, Line: 3}, {Name: "B", Default: "c", HasDefault: true, Line: 3}}},
		{"several", `${A:-1}:${B}:$C/$A`, []v{{Name: "A", Default: "1", HasDefault: true, Line: 3}, {Name: "B", Line: 3}, {Name: "C", Line: 3}}},
		{"first default, any requirement", `$A ${A:-1} ${A:-2} ${A:?}`, []v{{Name: "A", Default: "1", HasDefault: true, Required: true, Line: 3}}},
		{"escaped", `$$A $${B} $$$C`, []v{{Name: "C", Line: 3}}},
		{"braces in a default", `'${A:-{"a": 1}} $B'`, []v{{Name: "A", Default: `{"a": 1}`, HasDefault: true, Line: 3}, {Name: "B", Line: 3}}},
		{"dollar signs that mean nothing", `5$ $1 $ $`, nil},
		{"a list, in order", `[$B, $A]`, []v{{Name: "B", Line: 3}, {Name: "A", Line: 3}}},
		{"a key", `{$A: $B}`, []v{{Name: "B", Line: 3}}},
		{"lines of a block", "|\n  a\n  $A\n\n  ${B}", []v{{Name: "A", Line: 5}, {Name: "B", Line: 7}}},
		{"removed", `!reset $A`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := parse(t, "services: {}\n# a comment\nx-value: "+tt.value+"\n").Variables()
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestRequiredVariable(t *testing.T) {
	f := parse(t, "services:\n  web:\n    image: ${IMAGE:?which one}\n")
	_, err := f.Published(nil)
	missing, ok := errors.AsType[*interpolate.MissingError](err)
	if !ok || missing.Name != "IMAGE" {
		t.Errorf("got %v, want a MissingError of IMAGE", err)
	}
	if e, ok := errors.AsType[*compose.Error](err); !ok || e.Line != 3 {
		t.Errorf("got %v, want an Error at line 3", err)
	}
	if _, err := f.Published(map[string]string{"IMAGE": "x"}); err != nil {
		t.Error(err)
	}
}

// TestFileIsNotChanged resolves one file under two environments, and again.
func TestFileIsNotChanged(t *testing.T) {
	f := parse(t, `services: {web: {image: x, ports: ["${P:-1}:80"]}, b: {extends: web, ports: ["${Q:-2}:81"]}}`)
	for _, p := range []string{"7000", "", "8000"} {
		ports, err := f.Published(map[string]string{"P": p})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, port := range ports {
			got = append(got, port.Published)
		}
		first := map[string]int{"7000": 7000, "": 1, "8000": 8000}[p]
		if want := []int{first, first, 2}; !slices.Equal(got, want) {
			t.Errorf("P=%s: got %v, want %v", p, got, want)
		}
	}
}

// TestLimits holds against files that expand to more than they seem.
func TestLimits(t *testing.T) {
	const web = "services:\n  web:\n    image: x\n"
	aliases := "x-0: &a0 [a, a, a, a, a, a, a, a, a, a]\n"
	for i := 1; i < 10; i++ {
		aliases += fmt.Sprintf("x-%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for _, tt := range []struct{ name, data string }{
		{"size", web + strings.Repeat("# a comment\n", 100_000)},
		{"depth", "x-a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n" + web},
		{"aliases", aliases + web},
		{"aliases of a long text", "x-a: &a " + strings.Repeat("a", 500_000) + "\nx-b: [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" + web},
		{"merge keys", strings.ReplaceAll(strings.ReplaceAll(aliases, "[a, a, a, a, a, a, a, a, a, a]", "{a: a}"), "[*", "[*") + web},
		{"variables of a line", web + "    hostname: " + strings.Repeat("${A:-}", 100_000) + "\n"},
		{"nested defaults", web + "    hostname: " + strings.Repeat("${A:-", 50_000) + strings.Repeat("}", 50_000) + "\n"},
		{"ranges", web + "    ports: [" + strings.Repeat("1-65535,", 2) + "'1-65534','1-65533']\n"},
		{"ranges that say the same", web + "    ports: ['1-65535', '01-65535', '001-65535']\n"},
		{"inserted text", web + "    hostname: " + strings.Repeat("${BIG:?} ", 200) + "\n"},
		{"chain of extends", web + chain(2000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := compose.Parse([]byte(tt.data))
			if err == nil {
				_, err = f.Published(map[string]string{"BIG": strings.Repeat("x", 100_000)})
			}
			if !errors.Is(err, compose.ErrTooLarge) {
				t.Errorf("got %v, want ErrTooLarge", err)
			}
		})
	}
}

// chain returns services each of which extends the next one, web at last.
func chain(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "  s%d: {extends: s%d}\n", i, i+1)
	}
	fmt.Fprintf(&s, "  s%d: {extends: web}\n", n)
	return s.String()
}

func FuzzResolve(f *testing.F) {
	for _, pattern := range []string{"*.yml", "invalid/*.yml", "stricter/*.yml"} {
		paths, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "7000")
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		file, err := compose.Parse(data)
		if err != nil {
			return
		}
		var names []string
		for _, v := range file.Variables() {
			names = append(names, v.Name)
		}
		env := map[string]string{"P": value, "A": value, "COMPOSE_PROFILES": "*"}
		ports, err := file.Published(env)
		if err != nil {
			return
		}
		if _, err := file.Services(env); err != nil {
			t.Errorf("there are ports, but no services: %v", err)
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
		for _, p := range ports {
			if p.Published < 0 || p.Published > p.Last || p.Last > 65535 || p.Target < 1 || p.Target > 65535 || p.Line < 1 || p.Line > lines {
				t.Errorf("impossible port %+v", p)
			}
			for _, name := range p.Variables {
				if !slices.Contains(names, name) {
					t.Errorf("port %+v depends on %s, which isn't among the variables %q", p, name, names)
				}
			}
		}
	})
}
