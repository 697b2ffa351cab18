package mask

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// formsOfValue is the forms in which a value is looked for. A form may be there twice.
func formsOfValue(value string) []form {
	value = core(value)
	all := append(textForms(value), codedForms(value)...)
	if strings.Contains(value, "\n") {
		for line := range strings.Lines(value) {
			all = append(all, textForms(strings.TrimSpace(line))...)
		}
	}
	return all
}

// core is a value without the blanks around it, and without lines at its beginning that have
// only brackets or dashes: each line that ends so would wait for what comes behind it.
func core(value string) string {
	for {
		value = strings.TrimSpace(value)
		first, rest, more := strings.Cut(value, "\n")
		if !more || strings.Trim(first, "{[(- \t\r") != "" || len(strings.TrimSpace(rest)) < Least {
			return value
		}
		value = rest
	}
}

// textForms is a text in the ways in which it is written into others. One that is too short
// has none.
func textForms(text string) []form {
	if len(text) < Least {
		return nil
	}
	var all []form
	for _, quoted := range quotedForms(text) {
		all = append(all, form{text: quoted})
		if slices.ContainsFunc([]byte(quoted), escapedByStrings) {
			all = append(all, form{text: quoted, escaped: inString}, form{text: quoted, escaped: inString2}, form{text: quoted, escaped: inString3})
		}
		if slices.ContainsFunc([]byte(quoted), escapedByURLs) {
			all = append(all, form{text: quoted, escaped: inURL})
		}
	}
	return all
}

// quotedForms is a text as it is, and in quotes of those kinds that write some characters
// not with an escape, but in a way of their own: of shells, of YAML and CSV, of HTML and XML.
func quotedForms(text string) []string {
	all := []string{
		text, strings.ReplaceAll(text, "'", `'\''`), strings.ReplaceAll(text, "'", `'"'"'`),
		strings.ReplaceAll(text, "'", "''"), strings.ReplaceAll(text, `"`, `""`),
	}
	escaped := html.EscapeString(text)
	for _, apostrophe := range []string{"&#39;", "&apos;", "&#x27;"} {
		for _, quote := range []string{"&#34;", "&quot;", "&#x22;"} {
			all = append(all, strings.NewReplacer("&#34;", quote, "&#39;", apostrophe).Replace(escaped))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// escapedByStrings tells whether JSON, a programming language or a shell may write a byte with
// a backslash.
func escapedByStrings(c byte) bool { return c != '_' && c != '-' && c != '.' && !isWord(c) }

func escapedByURLs(c byte) bool { return escapedByStrings(c) && c != '~' }

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// Behind how many digits of base64 and of hex a form may be broken into lines. Fewer may stand
// on the line before, and aren't masked: too many lines end with them by chance, which would be
// shown only when the next one is there.
const (
	behindBase64 = 3
	behindHex    = 6
)

// codedForms is a value in base64, at each alignment to the three bytes that it takes
// together, and in hex.
func codedForms(value string) []form {
	var all []form
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			coded := encoding.EncodeToString([]byte("\x00\x00"[:shift] + value))
			first := (shift*8 + 5) / 6          // the first digit of which all bits are the value's
			end := (shift + len(value)) * 8 / 6 // behind the last one
			for cut := range behindBase64 {
				if digits := coded[first+cut : end]; len(digits) >= Least-1 {
					all = append(all, form{text: digits, parted: behindBase64, broken: behindBase64})
				}
			}
		}
	}
	coded := hex.EncodeToString([]byte(value))
	for cut := range behindHex {
		for _, digits := range []string{coded[cut:], strings.ToUpper(coded[cut:])} {
			all = append(all, form{text: digits, parted: 2, broken: behindHex})
		}
	}
	return all
}

// begins is the bytes with which a form may begin.
func (f form) begins() []byte {
	all := []byte{f.text[0]}
	switch f.escaped {
	case inString, inString2, inString3:
		all = append(all, '\\')
	case inURL:
		all = append(all, '%', '+')
	}
	if f.text[0] == '\n' {
		all = append(all, '\r')
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// follows is the bytes that may stand behind the first one.
func (f form) follows(first byte) []byte {
	if first == f.text[0] && first < utf8.RuneSelf && first != '\n' && len(f.text) > 1 {
		f.text = f.text[1:]
		return f.begins()
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}
