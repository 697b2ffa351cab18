package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
	for name, files := range largeScripts(size) {
		t.Run(name, func(t *testing.T) { check(files) })
	}
}

// largeScripts is scripts of about a size, by what there is much of in each.
func largeScripts(size int) map[string]map[string][]byte {
	repeat := func(text string, share int) string { return strings.Repeat(text, size/share/len(text)) }
	numbered := func(format string, share int) string { // in which N is replaced by a number, and M by the next
		var b strings.Builder
		for n := 100_000; b.Len() < size/share; n++ {
			b.WriteString(strings.NewReplacer("N", strconv.Itoa(n), "M", strconv.Itoa(n+1)).Replace(format))
		}
		return b.String()
	}
	library := []byte(numbered("cN = 1\n", 1))
	all := map[string]map[string][]byte{}
	for name, script := range map[string]string{
		"brackets":              repeat("[", 1),
		"operators":             "x = 1" + repeat(" + 1", 1),
		"attributes":            "x = disk" + repeat(".a", 1),
		"calls":                 "x = f" + repeat("()", 1),
		"branches":              "def f(x):\n    if x:\n        pass\n" + repeat("    elif x:\n        return\n", 1),
		"step branches":         "def f(x):\n    if x:\n        pass\n" + numbered("    elif x:\n        step(\"N\", f)\n", 1),
		"steps and ifs":         "def f(x):\n" + numbered("    step(\"N\", f)\n", 2) + repeat("    if x:\n        pass\n", 2),
		"steps and continue":    "def f(x):\n    for y in x:\n" + numbered("        step(\"N\", f)\n        if y:\n            continue\n", 1),
		"steps and break":       "def f(x):\n    for y in x:\n" + numbered("        step(\"N\", f)\n        if y:\n            break\n", 1),
		"steps in conditions":   "def f(x):\n    return " + deepConditions(min(900, size/40)) + repeat(" + x", 2),
		"unknown names":         "x = [" + numbered("aN, ", 1) + "]",
		"names to offer":        numbered("bN = 1\n", 2) + "x = [" + numbered("aN, ", 2) + "]",
		"a long name":           repeat("abc", 1) + " = 1\ny = a" + repeat("abc", 1),
		"a long name's uses":    "def " + repeat("abc", 4) + "():\n    pass\ng = " + repeat("abc", 4) + "\n" + repeat("g(zz = 1)\n", 2),
		"syntax errors":         repeat("x = = 1\n", 1),
		"aliases":               "a100000 = 1\n" + numbered("aM = aN\n", 1),
		"functions":             numbered("def fN():\n    return fM()\n", 1),
		"functions in a circle": strings.TrimSuffix(numbered("    return fN()\n\ndef fN():\n", 1), "\n") + "\n    return start()\n",
		"functions in circles":  numbered("def fN():\n    return hub()\n", 2) + "def hub():\n" + numbered("    fN()\n", 4),
		"a large struct":        "x = struct(" + numbered("aN = 1, ", 2) + ")\ny = [" + numbered("x.aN, ", 2) + "]",
		"what a struct lacks":   "x = struct(" + numbered("aN = 1, ", 2) + ")\ny = [" + numbered("x.bN, ", 2) + "]",
		"many parameters":       "def f(" + numbered("aN, ", 2) + "):\n    pass\n" + repeat("f()\n", 2),
		"parameters by name":    "def f(" + numbered("aN, ", 2) + "):\n    pass\n" + numbered("f(aN = 1, zz = 2)\n", 2),
		"captures":              "def f(all):\n    for x in all:\n" + repeat("        on_exit(lambda: x)\n", 1),
		"captures, much bound":  "def f(z):\n" + repeat("    x = 1\n", 2) + "    for y in z:\n" + repeat("        on_exit(lambda: x)\n", 2),
		"captures, many loops":  "def f(z):\n" + repeat("    for y in z:\n        x = 1\n", 2) + "    for y in z:\n" + repeat("        on_exit(lambda: x)\n", 2),
		"captures of much":      "def f(z):\n" + numbered("    aN = 1\n", 4) + "    def g():\n        return [" + numbered("aN, ", 4) + "]\n    for y in z:\n" + repeat("        on_exit(g)\n", 2),
		"suppressed":            "def f():\n" + numbered("    aN = 1  # kinfra: ignore[unused-variable] because of it\n", 1),
		"comments":              repeat("# kinfra: ignore[unused-variable] because of it\n", 1),
		"comments of one line":  "def f():\n" + repeat("    # kinfra: ignore[no-effect] because of it\n", 2) + "    " + repeat("1;", 2) + "\n",
		"rules of a comment":    "# kinfra: ignore[" + repeat("a,", 1) + "] because of it\nx = 1\n",
		"workflows":             "'''help'''\n" + numbered("workflow(command = 'aN', run = f)\n", 2) + "def f(a):\n    step('x', f)\n" + repeat("    disk.write('x', 'y')\n", 2),
		"flags of workflows":    "'''help'''\nF = {" + numbered("'aN': flag.bool(), ", 2) + "}\n" + numbered("workflow(command = 'aN', run = f, flags = F)\n", 2),
		"a large number":        "X = " + repeat("9", 2) + "\n" + repeat("disk.read(X)\n", 2),
		"a large text":          "X = '" + repeat("9", 2) + "'\n" + repeat("step(1, X)\n", 2),
		"loads":                 repeat("load('./lib.star', 'a')\n", 1),
		"loads of what isn't":   "load('./lib.star', " + numbered("'bN', ", 1) + ")\n",
		"loops":                 "def f(x):\n" + deepLoops(60),
	} {
		if name == "functions in a circle" {
			script = "def start():\n" + script
		}
		all[name] = map[string][]byte{"main.star": []byte(script), "lib.star": library}
	}
	return all
}

// TestLinear: four times the size costs four times the work, not sixteen times. What is
// compared is the time of the processor, with much room, since others use it, too.
func TestLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("what it measures, the race detector changes")
	}
	const most, least = 9, 300 * time.Millisecond
	small, large := largeScripts(layer.MaxFile/16), largeScripts(layer.MaxFile/4)
	for name, files := range large {
		t.Run(name, func(t *testing.T) {
			var of, against time.Duration
			for range 3 { // once may be chance
				if of = worked(files); of < least {
					return
				}
				if against = worked(small[name]); of < most*against {
					return
				}
			}
			t.Errorf("four times the size takes %s instead of %s", of, against)
		})
	}
}

// worked is how much of the processor's time a check takes.
func worked(files map[string][]byte) time.Duration {
	before := spent()
	check(files)
	return spent() - before
}

// spent is the time of the processor that this process has had.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano())
}

// deepConditions is conditional expressions in each other, each with a step.
func deepConditions(levels int) string {
	var b strings.Builder
	b.WriteString(strings.Repeat("(", levels) + "step(\"deep\", f)")
	for n := range levels {
		b.WriteString(" if x else step(\"" + strconv.Itoa(n) + "\", f))")
	}
	return b.String()
}

func deepLoops(levels int) string {
	var b strings.Builder
	for n := range levels {
		b.WriteString(strings.Repeat(" ", n+1) + "for y in x:\n")
	}
	b.WriteString(strings.Repeat(" ", levels+1) + "step(\"deep\", f)\n")
	return b.String()
}
