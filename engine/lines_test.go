package engine

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", longestLine-1)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"lines", "one\n\ntwo\n", "one\n\ntwo\n"},
		{"no end", "one\ntwo", "one\ntwo\n"},
		{"of another system", "one\r\ntwo\r\n", "one\ntwo\n"},
		{"a progress bar", "  1%\r 50%\r100%\ndone\n", "100%\ndone\n"},
		{"one that is left", " 1%\r 2%\r", " 2%\n"},
		{"one that is written over with less", "10 left\r9 left\n", "9 left\n"},
		{"a bell and an escape code stay", "\a\x1b[1mx\n", "\a\x1b[1mx\n"},
		{"characters", "größer 汉字 🙂\nü", "größer 汉字 🙂\nü\n"},
		{"no characters", "\xff\n\xe6\xb1", "\xff\n\xe6\xb1\n"},
		{"as long as may be", long + "y\n", long + "y\n"},
		{"longer", long + "y12345\n", long + "y\n12345\n"},
		{"longer, within a character", long + "ü12345\n", long + "\nü12345\n"},
		{"no characters, and long", long + strings.Repeat("\x80", 9) + "\n", strings.Repeat("x", longestLine-2) + "\nx" + strings.Repeat("\x80", 9) + "\n"},
	} {
		for _, size := range []int{1, 2, 3, 7, 1 << 20} { // pieces end anywhere
			var l lines
			got := ""
			for text := c.text; text != ""; {
				n := min(size, len(text))
				got += l.add([]byte(text[:n]))
				text = text[n:]
				if len(c.text) < 100 && utf8.ValidString(c.text) && !utf8.ValidString(l.unfinished()) {
					t.Errorf("%s, by %d bytes: %.20q is not whole", c.name, size, l.unfinished())
				}
			}
			if got += l.rest(); got != c.want {
				t.Errorf("%s, by %d bytes: got %.40q (%d bytes), want %.40q (%d bytes)", c.name, size, got, len(got), c.want, len(c.want))
			}
		}
	}
}
