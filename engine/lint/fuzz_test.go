package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/layer"
)

// FuzzCheck: whatever a script contains, it is checked to the end, and what is found is
// in order and in the script.
func FuzzCheck(f *testing.F) {
	for _, pattern := range []string{"testdata/faulty/*.txtar", "testdata/correct/*.txtar", "testdata/libraries/*.star"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			_, script, _ := strings.Cut(string(data), "-- main.star --\n")
			f.Add([]byte(script))
		}
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		got := check(map[string][]byte{"main.star": script, "lib.star": []byte("def helper(a):\n    return a\n")})
		last := strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(script)), "\n") + 1
		for i, finding := range got {
			if finding.Line < 1 || finding.Line > last || finding.Column < 1 {
				t.Errorf("%s is not in the script, which has %d lines", finding, last)
			}
			if i > 0 && got[i-1].File == finding.File && got[i-1].Line > finding.Line {
				t.Errorf("%s stands before %s", got[i-1], finding)
			}
			if utf8.Valid(script) && !utf8.ValidString(finding.Message) {
				t.Errorf("%q is not UTF-8", finding.Message)
			}
		}
		if again := check(map[string][]byte{"main.star": script, "lib.star": []byte("def helper(a):\n    return a\n")}); !slices.Equal(got, again) {
			t.Errorf("another time it finds\n%s\nfirst it found\n%s", lines(again), lines(got))
		}
	})
}

// TestLarge: what grows with the square of a script's size doesn't end within the time
// that tests have. The largest files are tried where the long stories are run.
func TestLarge(t *testing.T) {
	size := layer.MaxFile / 8
	if os.Getenv("KINFRA_LONG_STORIES") == "1" && !testing.Short() {
		size = layer.MaxFile
	}
	repeat := func(text string) string { return strings.Repeat(text, size/len(text)) }
	numbered := func(format func(n string) string, each int) string {
		var b strings.Builder
		for n := 100_000; b.Len() < size/each; n++ {
			b.WriteString(format(strconv.Itoa(n)))
		}
		return b.String()
	}
	for name, script := range map[string]string{
		"brackets":       repeat("["),
		"operators":      "x = 1" + repeat(" + 1"),
		"attributes":     "x = disk" + repeat(".a"),
		"calls":          "x = f" + repeat("()"),
		"branches":       "def f(x):\n    if x:\n        pass\n" + repeat("    elif x:\n        return\n"),
		"step branches":  "def f(x):\n    if x:\n        pass\n" + numbered(func(n string) string { return "    elif x:\n        step(\"" + n + "\", f)\n" }, 1),
		"steps and ifs":  "def f(x):\n" + numbered(func(n string) string { return "    step(\"" + n + "\", f)\n" }, 2) + repeat("    if x:\n        pass\n"),
		"unknown names":  "x = [" + numbered(func(n string) string { return "a" + n + ", " }, 1) + "]",
		"names to offer": numbered(func(n string) string { return "b" + n + " = 1\n" }, 2) + "x = [" + numbered(func(n string) string { return "a" + n + ", " }, 2) + "]",
		"a long name":    repeat("abc") + " = 1\ny = a" + repeat("abc"),
		"syntax errors":  repeat("x = = 1\n"),
		"aliases":        "a100000 = 1\n" + numbered(func(n string) string { return "a" + n + "1 = a" + n + "\n" }, 1),
		"functions":      numbered(func(n string) string { return "def f" + n + "():\n    return f" + n + "1()\n" }, 1),
		"a large struct": "x = struct(" + numbered(func(n string) string { return "a" + n + " = 1, " }, 2) + ")\ny = [" + numbered(func(n string) string { return "x.a" + n + ", " }, 2) + "]",
		"captures":       "def f(all):\n    for x in all:\n" + repeat("        on_exit(lambda: x)\n"),
		"suppressed":     "def f():\n" + numbered(func(n string) string { return "    a" + n + " = 1  # kinfra: ignore[unused-variable] because of it\n" }, 1),
		"comments":       repeat("# kinfra: ignore[unused-variable] because of it\n"),
		"loops":          "def f(x):\n" + deepLoops(60),
	} {
		t.Run(name, func(t *testing.T) { check(map[string][]byte{"main.star": []byte(script)}) })
	}
}

func deepLoops(levels int) string {
	var b strings.Builder
	for n := range levels {
		b.WriteString(strings.Repeat(" ", n+1) + "for y in x:\n")
	}
	b.WriteString(strings.Repeat(" ", levels+1) + "step(\"deep\", f)\n")
	return b.String()
}
