package lastwords_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/lastwords"
)

func TestOf(t *testing.T) {
	numbered := func(from, to int) (lines []string) {
		for i := from; i <= to; i++ {
			lines = append(lines, fmt.Sprint("line ", i))
		}
		return lines
	}
	for _, c := range []struct {
		name           string
		stdout, stderr []string
		reason         string
		said           []string
	}{
		{name: "nothing", stdout: []string{"", "  "}},
		{"one line", nil, []string{"curl: (7) Failed to connect to localhost port 1"}, "curl: (7) Failed to connect to localhost port 1", nil},
		{"no word decides", []string{"a"}, []string{"b", "c"}, "c", []string{"a", "b", "c"}},
		{"only stdout", []string{"a", "b"}, nil, "b", []string{"a", "b"}},
		{"the first that decides", nil, []string{"compiling", "a.c:1: error: no", "make: *** [all] Error 1"}, "a.c:1: error: no",
			[]string{"compiling", "a.c:1: error: no", "make: *** [all] Error 1"}},
		{"stderr before stdout", []string{"error: on stdout"}, []string{"permission denied"}, "permission denied", []string{"error: on stdout", "permission denied"}},
		{"stdout decides", []string{"--- FAIL: TestX", "  x_test.go:3: failed"}, []string{"exit"}, "--- FAIL: TestX", []string{"--- FAIL: TestX", "  x_test.go:3: failed", "exit"}},
		{"counts don't decide", nil, []string{"0 errors", "3 warnings, no failures", "errors: 0", "the end"}, "the end", []string{"0 errors", "3 warnings, no failures", "errors: 0", "the end"}},
		{"far above the end", nil, slices.Concat([]string{"fatal: first", "denied", "cannot", "error 4"}, numbered(1, 12)), "fatal: first",
			slices.Concat([]string{"fatal: first", "denied", "cannot", "…"}, numbered(3, 12))},
		{"a trace", nil, []string{"Traceback (most recent call last):", `  File "x.py", line 1`, "ValueError: bad"}, "ValueError: bad",
			[]string{"Traceback (most recent call last):", `  File "x.py", line 1`, "ValueError: bad"}},
		{"bytes", nil, []string{"\xff"}, "\uFFFD", nil},
	} {
		all := lastwords.Lines([]byte(strings.Join(c.stdout, "\n")), []byte(strings.Join(c.stderr, "\r\n")))
		reason, said := lastwords.Of(all)
		if reason != c.reason || !slices.Equal(said, c.said) {
			t.Errorf("%s: got %q, %q\nwant %q, %q", c.name, reason, said, c.reason, c.said)
		}
	}
}

func TestFailed(t *testing.T) {
	said := lastwords.Lines(nil, []byte("trying\nConnection refused\n"))
	for _, c := range []struct {
		args []string
		all  []lastwords.Line
		want string
	}{
		{[]string{"git", "push"}, nil, "git push ended with code 7"},
		{[]string{"git", "push"}, said, "git push ended with code 7: Connection refused\n  | trying\n  | Connection refused"},
		{[]string{"/usr/bin/curl", "-w", "\n%{http_code} ", strings.Repeat("x", 400), "end"}, said[1:],
			"curl ended with code 7: Connection refused\nthe command: /usr/bin/curl -w '\\n%{http_code} ' " + strings.Repeat("x", 163) + " … " + strings.Repeat("x", 95) + " end"},
	} {
		if got := lastwords.Failed(c.args, 7, c.all); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func FuzzMiddle(f *testing.F) {
	f.Add("größer als es sein darf", 10)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 10 + max(0, most%100)
		if got := lastwords.Middle(text, most); utf8.RuneCountInString(got) > most || utf8.RuneCountInString(text) <= most && got != text {
			t.Errorf("Middle(%q, %d) is %q", text, most, got)
		}
	})
}
