package visible

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"slot 1\n\tlight, größer ✓ …\n", "slot 1\n\tlight, größer ✓ …\n"},
		{"a\x1b[2Jb\x1b]0;title\x07c\rd\x00\x7f", `a\x1b[2Jb\x1b]0;title\ac\rd\x00\x7f`},
		{"\u009b2J\u0085", `\u009b2J\u0085`},
		{"\x9b2J\xff\xe2\x80", `\x9b2J\xff\xe2\x80`},
		{"\u061c\u200e\u200f\u202a\u202e\u2066\u2069", `\u061c\u200e\u200f\u202a\u202e\u2066\u2069`},
		{"a\u200bb\u2060\ufeff\u00ad", `a\u200bb\u2060\ufeff\u00ad`},
		{"a\u2028b\u2029", `a\u2028b\u2029`},
		{"\U000e0001\U000e0041\U000e007f", `\U000e0001\U000e0041\U000e007f`},
		{"\u3164\u115f\u034f\u180e", `\u3164\u115f\u034f\u180e`}, // fillers, a joiner of graphemes
		{"\ufdd0\U0001ffff", `\ufdd0\U0001ffff`},
		{"ad\u200dmin \u200cx", `ad\u200dmin \u200cx`},
		{"\u200d", `\u200d`},
		{"👩\u200d💻 ❤️\u200d🔥 👩🏽\u200d💻", "👩\u200d💻 ❤️\u200d🔥 👩🏽\u200d💻"},
		{"👩\u200d\u200d💻", `👩\u200d\u200d💻`},
		{"👩\u200dx \u200d💻", `👩\u200dx \u200d💻`},
		{"👩\u200d\xf0 👩\u200d\ufe0f", `👩\u200d\xf0 👩\u200d\ufe0f`},
		{"می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"},
		{"1\ufe0f⚠️ 葛\U000e0100", "1\ufe0f⚠️ 葛\U000e0100"},
		{"a\ufe0f⚠️\ufe0f\ufe01 é\U000e0100", `a\ufe0f⚠️\ufe0f\ufe01 é\U000e0100`},
		{"\u0600١", "\u0600١"}, // a number sign, which is seen
		{`\x1b`, `\x1b`},
	} {
		if got := Text(c.text); got != c.want {
			t.Errorf("%+q is shown as %q, want %q", c.text, got, c.want)
		}
	}
	if got := Line("a\n\tb\r\n"); got != `a\n\tb\r\n` {
		t.Errorf("a line is shown as %q", got)
	}
}

// JSON in which the characters are escaped has the same value, and none of them.
func TestJSON(t *testing.T) {
	text := "a\x1b\x7f\u009b\u202e\u200b\u2028\U000e0041👩\u200d💻é\ufdd0"
	data, err := json.MarshalIndent(map[string]string{text: text}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	escaped := JSON(data)
	var got map[string]string
	if err := json.Unmarshal(escaped, &got); err != nil {
		t.Fatalf("%v: %s", err, escaped)
	}
	if len(got) != 1 || got[text] != text {
		t.Errorf("%q means %+q", escaped, got)
	}
	if want := `a\u001b\u007f\u009b\u202e\u200b\u2028\udb40\udc41👩` + "\u200d💻é" + `\ufdd0`; !strings.Contains(string(escaped), want) {
		t.Errorf("%s is not in %s", want, escaped)
	}
	if Text(string(escaped)) != string(escaped) {
		t.Errorf("%q is not as it can be printed", escaped)
	}
}

func TestInk(t *testing.T) {
	ink := NewInk(func(b []byte) { copy(b, "\x00\x00\x00\x00\x00\x00\x00\x07") })
	green := ink.Paint(32, "o\x1b[31mk")
	if got := ink.Text(green+"\x1b[32mx", true); got != "\x1b[32mo\\x1b[31mk\x1b[0m\\x1b[32mx" {
		t.Errorf("with colours it is printed as %q", got)
	}
	if got := ink.Text(green, false); got != `o\x1b[31mk` {
		t.Errorf("without colours it is printed as %q", got)
	}
	if got := ink.Text(ink.Line(green+"\n"), true); got != "\x1b[32mo\\x1b[31mk\x1b[0m\\n" {
		t.Errorf("a line is printed as %q", got)
	}
	if got := ink.Remove("\x07" + green); got != "\x07o\x1b[31mk" {
		t.Errorf("without its colours it is %q", got)
	}
	for cut, want := range map[string]string{"\x1b[7;": `\x1b[7;`, "\x1b[7;32": `\x1b[7;32`, "\x1b[7;m": `\x1b[7;m`, "\x1b[7;1;8m": `\x1b[7;1;8m`, "\x1b[8;32m": `\x1b[8;32m`} {
		if got := ink.Text(cut, true); got != want {
			t.Errorf("%q is printed as %q", cut, got)
		}
	}
	if got := (Ink{}).Paint(32, "x") + (Ink{}).Text("\x1b[32m", true); got != `x\x1b[32m` {
		t.Errorf("without ink it is %q", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a\x1b[2J", "\xff\u202e", "👩\u200d💻", "\ufe0f\ufe0f", "क\u200c\u200dक"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := Text(s)
		if !utf8.ValidString(shown) || Text(shown) != shown {
			t.Errorf("%+q is shown as %+q", s, shown)
		}
		for _, r := range shown {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Errorf("%+q is shown as %+q", s, shown)
			}
		}
		data, _ := json.Marshal(s) // a string can't fail
		var before, after string
		if json.Unmarshal(data, &before) != nil || json.Unmarshal(JSON(data), &after) != nil || before != after {
			t.Errorf("%+q means %+q, want %+q", JSON(data), after, before)
		}
		if out := string(JSON(data)); Text(out) != out {
			t.Errorf("%+q is not as it can be printed", out)
		}
	})
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat("  ok    start the stack (1.2s)\n", 100)
	for b.Loop() {
		Text(text)
	}
}
