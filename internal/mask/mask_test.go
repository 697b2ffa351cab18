package mask_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/internal/mask"
)

func setOf(values ...string) *mask.Set {
	var s mask.Set
	for _, v := range values {
		s.Add(v)
	}
	return &s
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, value, text, want string }{
		{"as it is", "s3cret!", "password s3cret!", "password ***"},
		{"twice", "s3cret!", "s3cret! and s3cret!s3cret!", "*** and ******"},
		{"alone", "s3cret!", "s3cret!", "***"},
		{"nothing of it", "s3cret!", "all is well, s3cret", "all is well, s3cret"},
		{"no text", "s3cret!", "", ""},
		{"several lines", "-- KEY --\nabcdef\nend", "1 | -- KEY --\n2 | abcdef\n3 | end", "1 | ***\n2 | ***\n3 | end"},
		{"several lines in one", "-- KEY --\nabcdef\nend", "got -- KEY --\nabcdef\nend!", "got ***!"},
		{"lines of another system", "abc\ndef\nghi", "got abc\r\ndef\r\nghi!", "got ***!"},
		{"without the blanks around it", " s3cret!\n", "<s3cret!>", "<***>"},
		{"without brackets that it begins with", "{\n \"key\": \"s3cret!\"}", "see {\n \"key\": \"s3cret!\"}", "see {\n ***"},
		{"hardly more than brackets", "{\n--\n1234", "{\n--\n1234", "{\n***"},
		{"a character of several bytes", "größer!", "ist größer! als", "ist *** als"},
	} {
		if got := setOf(tt.value).Text(tt.text); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestValuesThatMeet(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		values           []string
	}{
		{"one the beginning of another", "abcdefgh!", "***!", []string{"abcdef", "abcdefgh"}},
		{"one in another", "xxabcdefxx!", "***!", []string{"abcdef", "xxabcdefxx"}},
		{"they overlap", "abcdefghi!", "***!", []string{"abcdef", "defghi"}},
		{"one behind another", "abcdefghijkl!", "******!", []string{"abcdef", "ghijkl"}},
		{"only the beginning of the longer one", "abcdefg", "***g", []string{"abcdef", "abcdefgh"}},
	} {
		if got := setOf(tt.values...).Text(tt.text); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestShort: what is too short is left out, since its mask would destroy all text.
func TestShort(t *testing.T) {
	for _, value := range []string{"", "a", "12345", "  abc  ", "\n\n\n\n\n\n\n"} {
		if s := setOf(value); !s.Empty() || s.Text("a text with 12345 and abc in it") != "a text with 12345 and abc in it" {
			t.Errorf("%q is masked", value)
		}
	}
	if setOf("123456").Empty() {
		t.Error("a value of six bytes is not masked")
	}
}

// TestNothingKnown: without values nothing is copied.
func TestNothingKnown(t *testing.T) {
	var none *mask.Set
	for _, s := range []*mask.Set{none, {}} {
		if !s.Empty() || s.Holds("text") || s.Text("text") != "text" || string(s.JSON([]byte(`"text"`))) != `"text"` {
			t.Error("something is masked")
		}
		stream := s.Stream()
		piece := []byte("a piece")
		if n := testing.AllocsPerRun(100, func() {
			s.Text("a text")
			stream.Write(piece)
			stream.Close()
		}); n > 0 {
			t.Errorf("masking nothing allocates %v times", n)
		}
	}
}

// awkward is a value with what encoders escape, each in its way.
const awkward = "pä\"s's\\w<o>r&d/ $x`😀%+=!(1)*~[a]\x7f\tz"

// encodings is how programs write a value into other text.
func encodings(value string) map[string]string {
	plainJSON := func(v string) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(err)
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
	goJSON, _ := json.Marshal(value)
	nested, _ := json.Marshal(string(goJSON))
	all := map[string]string{
		"raw": value, "JSON": plainJSON(value), "JSON for HTML": string(goJSON), "JSON in JSON": string(nested), "plain JSON in JSON": plainJSON(plainJSON(value)),
		"Go": strconv.Quote(value), "Go in ASCII": strconv.QuoteToASCII(value),
		"a URL's query": url.QueryEscape(value), "a URL's path": url.PathEscape(value), "a URL in lower case": lowerPercent(url.QueryEscape(value)),
		"a shell": "'" + strings.ReplaceAll(value, "'", `'\''`) + "'",
		"hex":     hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	for shift := range 3 {
		for name, e := range map[string]*base64.Encoding{"base64": base64.StdEncoding, "base64 of URLs": base64.URLEncoding, "base64 without =": base64.RawStdEncoding} {
			all[fmt.Sprint(name, " ", shift)] = e.EncodeToString([]byte("abc"[:shift] + value + "wxyz"))
		}
	}
	return all
}

func lowerPercent(text string) string {
	parts := strings.Split(text, "%")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToLower(parts[i][:2]) + parts[i][2:]
	}
	return strings.Join(parts, "%")
}

// most is how much of an encoded value may be left over beside the mask: quotes, what was
// around the value, and digits of base64 that hold bits of both.
const most = 14

func TestEncodings(t *testing.T) {
	for _, value := range []string{"hunter2", "c4nary", awkward, "--- KEY ---\nMIIabc/+def\n\nghi jkl\n--- END ---\n", strings.Repeat("long", 50) + "!"} {
		s := setOf(value)
		for name, text := range encodings(value) {
			got := s.Text("<" + text + ">")
			if !strings.Contains(got, mask.Hidden) || len(got) > most+len(mask.Hidden) {
				t.Errorf("%s of %q: of\n%s\nis shown\n%s", name, value, text, got)
			}
		}
	}
}

type programCase struct {
	command []string
	most    int // bytes that may be left over
}

// before is how many bytes are to stand before the value: of those who break lines, or take
// bytes together, several.
func (c programCase) before() []int {
	if slices.Contains([]string{"base64", "openssl", "xxd", "od"}, c.command[0]) {
		return []int{0, 1, 2, 3}
	}
	return []int{2}
}

// TestEncodingsOfPrograms: what common programs make of a value, broken into lines.
func TestEncodingsOfPrograms(t *testing.T) {
	for _, tt := range []programCase{
		{[]string{"base64"}, most}, {[]string{"base64", "-w", "10"}, most}, {[]string{"base64", "-w", "7"}, most},
		{[]string{"od", "-An", "-tx1", "-v"}, most}, {[]string{"od", "-An", "-tx1", "-v", "-w7"}, most}, {[]string{"xxd", "-p", "-c", "4"}, most}, {[]string{"sh", "-c", "od -An -tx1 -v | tr -d ' \n' | fold -w 7"}, most}, {[]string{"sh", "-c", `printf %s "$(cat)"`}, most},
		{[]string{"bash", "-c", `printf %q "$(cat)"`}, most}, {[]string{"bash", "-c", `v=$(cat); declare -p v`}, most + 10}, {[]string{"bash", "-c", `v=$(cat); echo "${v@Q}"`}, most},
		{[]string{"python3", "-c", "import sys, json; print(json.dumps(sys.stdin.read()))"}, most},
		{[]string{"python3", "-c", "import sys; print(repr(sys.stdin.read()))"}, most},
		{[]string{"python3", "-c", "import sys, urllib.parse; print(urllib.parse.quote(sys.stdin.read()))"}, most},
		{[]string{"python3", "-c", "import sys, urllib.parse; print(urllib.parse.quote_plus(sys.stdin.read()))"}, most},
		{[]string{"python3", "-c", "import sys, html; print(html.escape(sys.stdin.read()))"}, most},
		{[]string{"jq", "-R", "-s", "."}, most}, {[]string{"jq", "-R", "-s", "@uri"}, most}, {[]string{"jq", "-R", "-s", "@sh"}, most + 4}, {[]string{"jq", "-R", "-s", "-r", "@sh"}, most},
		{[]string{"jq", "-R", "-s", "@html"}, most}, {[]string{"jq", "-R", "-s", "-r", "@html"}, most},
		{[]string{"openssl", "base64"}, most}, {[]string{"xxd", "-p"}, most},
	} {
		if _, err := exec.LookPath(tt.command[0]); err != nil {
			t.Logf("%s is not there", tt.command[0])
			continue
		}
		for _, value := range []string{awkward, strings.Repeat("l0ng'", 60) + "!"} {
			s := setOf(value)
			for _, before := range tt.before() {
				cmd := exec.Command(tt.command[0], tt.command[1:]...)
				cmd.Stdin = strings.NewReader("1234567"[:before] + value)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v", tt.command, err)
				}
				if got := s.Text(string(out)); !strings.Contains(got, mask.Hidden) || len(got) > tt.most+3*before+len(mask.Hidden) {
					t.Errorf("%s of %q:\n%s\nis shown as\n%s", tt.command, value, out, got)
				}
			}
		}
	}
}

func TestStream(t *testing.T) {
	s := setOf("s3cret!", "s3cret! and more")
	stream := s.Stream()
	for _, step := range []struct{ piece, want string }{
		{"a text\n", "a text\n"}, {"the s", "the "}, {"3cre", ""}, {"ts\n", "s3crets\n"}, {"s3cret", ""}, {"!", ""}, {"\n", "***\n"}, {"s3cret! and more", "***"}, {"", ""}, {"s3cret! an", ""},
	} {
		if got := string(stream.Write([]byte(step.piece))); got != step.want {
			t.Errorf("after %q came %q, want %q", step.piece, got, step.want)
		}
	}
	if got := string(stream.Close()); got != "*** an" {
		t.Errorf("at the end came %q", got)
	}
	if got := string(stream.Close()); got != "" {
		t.Errorf("after the end came %q", got)
	}
}

// TestStreamMeanwhile: a value that is added while a stream goes on counts from then on.
func TestStreamMeanwhile(t *testing.T) {
	var s mask.Set
	stream := s.Stream()
	first := string(stream.Write([]byte("s3cret! ")))
	s.Add("s3cret!")
	if got := first + string(stream.Write([]byte("s3cret! s3"))) + string(stream.Close()); got != "s3cret! *** s3" {
		t.Errorf("got %q", got)
	}
}

// TestLinesEndAtOnce: a line that has nothing to do with a value isn't held back, though it
// ends with what a form begins with.
func TestLinesEndAtOnce(t *testing.T) {
	for value, lines := range map[string][]string{
		"s3cret!":                        {"runs\n", "port c\n", "a S\n", "a 7\n", "port 73\n", "port 7333\n", "73 33\n", "in HEX 73\r\n"},
		"\n\n one\ntwo\n":                {"\n", "runs\n", " \n"},
		"{\n  \"key\": \"s3cret!\"\n}\n": {"{\n", "[{\n", "func main() {\n", "{\r\n"},
		"---\n- [\ns3cret: 1\n":          {"---\n", "- [\n", "---\n- [\n"},
	} {
		stream := setOf(value).Stream()
		for _, line := range lines {
			if got := string(stream.Write([]byte(line))); got != line {
				t.Errorf("of %q: %q came out as %q", value, line, got)
			}
		}
	}
}

// TestHeldIsLimited: what may part a form is waited for only so long.
func TestHeldIsLimited(t *testing.T) {
	for _, blank := range []string{" ", "\n", `\n`, "\t\r\n"} {
		stream := setOf("s3cret!").Stream()
		shown := len(stream.Write([]byte("73336372")))
		for range 100 {
			shown += len(stream.Write([]byte(blank)))
		}
		if shown < 8+100*len(blank)-8 {
			t.Errorf("%q: %d bytes were shown", blank, shown)
		}
	}
}

func TestJSON(t *testing.T) {
	s := setOf("s3cret!", `{"a":1,"b":2}`, "123456")
	for text, want := range map[string]string{
		`{"password":"s3cret!","n":7}`:             `{"password":"***","n":7}`,
		`{"s3cret!": [ "s3cret! <x>", "ok" ] }`:    `{"***": [ "*** <x>", "ok" ] }`,
		`{"a":1,"b":2}`:                            `{"a":1,"b":2}`,
		`{"text":"{\"a\":1,\"b\":2}"}`:             `{"text":"***"}`,
		`["\u0073\u0033cret!", "a\\", "\"", true]`: `["***", "a\\", "\"", true]`,
		`{"pin":123456,"pins":[1,123456.5, -1e5]}`: `{"pin":"***","pins":[1,"***", -1e5]}`,
		`"nothing"`: `"nothing"`,
		``:          ``,
		`"s3cr`:     `"***"`,
	} {
		got := string(s.JSON([]byte(text)))
		if got != want || json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
	}
}

// TestManyAtOnce: values are added while others mask.
func TestManyAtOnce(t *testing.T) {
	var s mask.Set
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			value := fmt.Sprint("value-", i)
			s.Add(value)
			if got := s.Text("a " + value); got != "a ***" {
				t.Errorf("got %q", got)
			}
		})
	}
	wg.Wait()
}

// FuzzStream: however a text is parted, it comes out as it would in one piece, and no value
// is in it any more.
func FuzzStream(f *testing.F) {
	f.Add("s3cret!", "s3cret! and more", "it is s3cret! and mor s3cret! and more", []byte{3, 1, 9})
	f.Add("abcabcabd", "bcabca", "abcabcabcabdabcabca", []byte{1})
	f.Add("aaaaaaa", "aaaaaab", "aaaaaaaaaaaabaaaaaa", []byte{2, 2})
	f.Add(awkward, "line one\nline two\n", `"p\u00e4\"s's\\w\u003co`+base64.StdEncoding.EncodeToString([]byte("x"+awkward)), []byte{7})
	f.Add("hunter2", "c4nary", "aHVu\ndGVy\\nMg== 68 75 6e 74 65 72 32 68756e\n74657232", []byte{1, 4})
	f.Fuzz(func(t *testing.T, one, two, text string, parts []byte) {
		s := setOf(one, two)
		whole := s.Text(text)
		stream := s.Stream()
		var got []byte
		rest := text
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(parts) > 0 {
				n = min(n, 1+int(parts[i%len(parts)]))
			}
			got = append(got, stream.Write([]byte(rest[:n]))...)
			rest = rest[n:]
		}
		got = append(got, stream.Close()...)
		if string(got) != whole {
			t.Errorf("in pieces %q\nas one    %q", got, whole)
		}
		checkHidden(t, s, whole, one, two)
		checkHidden(t, s, s.Text(text+one+text+two+one), one, two)
		data, err := json.Marshal([]string{text, one, text + two})
		if err != nil {
			t.Fatal(err)
		}
		masked := s.JSON(data)
		if !json.Valid(masked) {
			t.Errorf("the JSON %s became %s", data, masked)
		}
	})
}

// checkHidden finds values in a text that was masked. One with a star may come about by
// masking.
func checkHidden(t *testing.T, s *mask.Set, masked string, values ...string) {
	t.Helper()
	if strings.Contains(strings.Join(values, ""), "*") || slices.Contains(values, "") {
		return
	}
	for _, value := range values {
		if len(strings.TrimSpace(value)) >= mask.Least && strings.Contains(masked, value) {
			t.Errorf("%q is in %q", value, masked)
		}
	}
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat("2026-11-30 17:47:13 INFO  listening on 127.0.0.1:8080, waiting for connections\n", 1000)
	for _, n := range []int{0, 1, 10} {
		var s mask.Set
		for i := range n {
			s.Add(fmt.Sprintf("s3cr%dt-with/more+bytes", i))
		}
		b.Run(fmt.Sprint(n, " values"), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.Text(text)
			}
		})
	}
}

// linesOf is a value of so many lines, such as a file of keys.
func linesOf(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		line := make([]byte, 48)
		for i := range line {
			line[i] = byte(random.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(line) + "\n")
	}
	return b.String()
}

// BenchmarkLines: what a value of more lines costs, when it is added, for each text, and where
// it is printed in small pieces.
func BenchmarkLines(b *testing.B) {
	log := strings.Repeat("2026-11-30 17:47:13 INFO  listening on 127.0.0.1:8080, waiting for connections\n", 200)
	for _, n := range []int{10, 100, 1000} {
		value := linesOf(n)
		s := setOf(value)
		b.Run(fmt.Sprint("add ", n), func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				setOf(value)
			}
		})
		for name, text := range map[string]string{"log": log, "other keys": linesOf(n + 200)[n*65:], "itself": value, "in hex": hex.EncodeToString([]byte(value))} {
			b.Run(fmt.Sprint(name, " ", n), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					s.Text(text)
				}
			})
			b.Run(fmt.Sprint(name, " in pieces ", n), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					stream := s.Stream()
					for i := 0; i < len(text); i += 16 {
						stream.Write([]byte(text[i:min(len(text), i+16)]))
					}
					stream.Close()
				}
			})
		}
	}
}
