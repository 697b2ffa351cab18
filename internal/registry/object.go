package registry

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// object is a JSON object whose keys keep their order and whose values are kept
// as they were read, so that what isn't understood isn't changed either.
type object []member

type member struct {
	key    string // decoded
	rawKey string // as in the file, with its quotes
	raw    string // the value, as in the file
}

func (o object) get(key string) (string, bool) {
	for _, m := range o {
		if m.key == key {
			return m.raw, true
		}
	}
	return "", false
}

// set replaces a key's value, or adds the key at the end.
func (o *object) set(key, raw string) {
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].raw = raw
			return
		}
	}
	*o = append(*o, member{key: key, rawKey: quote(key), raw: raw})
}

// mustObject splits a JSON object that was found to be valid before; anything
// else has no members.
func mustObject(raw string) object {
	var o object
	if !strings.HasPrefix(raw, "{") {
		return nil
	}
	gjson.Parse(raw).ForEach(func(key, value gjson.Result) bool {
		o = append(o, member{key: key.Str, rawKey: key.Raw, raw: value.Raw})
		return true
	})
	return o
}

// appendTo writes the object, whose members lie depth+1 levels deep.
func (o object) appendTo(dst []byte, depth int) []byte {
	if len(o) == 0 {
		return append(dst, "{}"...)
	}
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, m.rawKey, depth+1)
		dst = appendValue(dst, m.raw, depth+1)
	}
	dst = appendLine(dst, depth)
	return append(dst, '}')
}

// appendKey begins a line with a key.
func appendKey(dst []byte, rawKey string, depth int) []byte {
	dst = appendLine(dst, depth)
	dst = append(dst, rawKey...)
	return append(dst, ": "...)
}

func appendLine(dst []byte, depth int) []byte {
	dst = append(dst, '\n')
	for range depth {
		dst = append(dst, indent...)
	}
	return dst
}

const indent = "  "

// appendValue writes a value that lies depth levels deep: as it is where it is
// laid out already, and indented where it was written in another style.
func appendValue(dst []byte, raw string, depth int) []byte {
	if laidOut(raw, depth) {
		return append(dst, raw...)
	}
	buf := bytes.NewBuffer(dst)
	if err := json.Indent(buf, []byte(raw), strings.Repeat(indent, depth), indent); err != nil {
		panic("registry: a value that was read is not JSON: " + err.Error())
	}
	return buf.Bytes()
}

// laidOut tells whether a value looks as it should at that depth. It looks at the
// first and the last line only: whole files are written in one style, and looking
// at more would cost as much as writing it anew.
func laidOut(raw string, depth int) bool {
	if raw[0] != '{' && raw[0] != '[' || raw == "{}" || raw == "[]" {
		return true
	}
	inner := strings.Repeat(indent, depth+1)
	rest, ok := strings.CutPrefix(raw[1:], "\n"+inner)
	if !ok || rest[0] == ' ' || rest[0] == '\n' {
		return false
	}
	return strings.HasSuffix(raw[:len(raw)-1], "\n"+inner[len(indent):])
}

// quote writes a string as JSON in ASCII, as the older tools do, so that a reader
// with any locale gets it right and their rewriting doesn't change it.
func quote(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	unit := func(u uint16) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hex[u>>shift&0xf])
		}
	}
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case ' ' <= r && r < utf8.RuneSelf-1:
			b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteByte('\\')
			b.WriteByte("btn?fr"[r-'\b'])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			unit(uint16(high))
			unit(uint16(low))
		default:
			unit(uint16(r))
		}
	}
	b.WriteByte('"')
	return b.String()
}
