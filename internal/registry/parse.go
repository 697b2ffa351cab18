package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	// MaxSize is the size from which a file is refused, in bytes. A slot takes
	// some 700 bytes.
	MaxSize = 32 << 20

	// maxDepth bounds the nesting of a document; the format needs 5.
	maxDepth = 64
)

// Parse reads a document of version 2, or one of version 1, which becomes version
// 2 in memory. What it can't take for a registry is a *DamagedError, without a
// file name.
func Parse(data []byte) (*Registry, error) {
	if len(data) > MaxSize {
		return nil, &DamagedError{Offset: -1, Problem: tooLarge}
	}
	text := string(data)
	if err := checkSyntax(text); err != nil {
		return nil, err.at(text)
	}
	r := &Registry{byID: map[int]*entry{}}
	if err := r.read(gjson.Parse(text)); err != nil {
		return nil, err.at(text)
	}
	return r, nil
}

// flaw is what is wrong with a document, and where.
type flaw struct {
	key    string // "slots.3.ports.api"; empty for the document as a whole
	offset int    // in bytes, from 0; -1 if it is nowhere in particular
	text   string
}

// at makes an error of a flaw, with its line and column in text.
func (f *flaw) at(text string) *DamagedError {
	e := &DamagedError{Key: f.key, Offset: f.offset, Problem: f.text}
	if f.offset >= 0 {
		before := text[:min(f.offset, len(text))]
		e.Line = 1 + strings.Count(before, "\n")
		e.Column = len(before) - strings.LastIndexByte(before, '\n')
	}
	return e
}

// checkSyntax tells whether text is JSON within the limits. The nesting comes
// first, since what looks at the rest is recursive.
func checkSyntax(text string) *flaw {
	if strings.TrimLeft(text, " \t\r\n") == "" {
		return &flaw{offset: -1, text: "the file is empty, as a write that was cut short leaves it"}
	}
	if offset := TooDeep(text, maxDepth); offset >= 0 {
		return &flaw{offset: offset, text: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	if offset := notUTF8(text); offset >= 0 {
		return &flaw{offset: offset, text: "not UTF-8"}
	}
	if gjson.Valid(text) {
		return nil
	}
	f := &flaw{offset: -1, text: "not JSON"}
	// Slower, but it can say what is wrong.
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); err != nil {
		f.text = "not JSON: " + err.Error()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			f.offset = max(0, int(syntax.Offset)-1)
		}
	}
	return f
}

// TooDeep is the offset at which JSON is nested deeper than so many levels, or -1.
// What reads it is recursive, so that comes first.
func TooDeep(text string, levels int) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > levels {
				return i
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return -1
}

// notUTF8 is the offset of the first byte that isn't part of UTF-8, or -1.
func notUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return -1
}

// read takes the document apart and migrates one of version 1.
func (r *Registry) read(doc gjson.Result) *flaw {
	if !doc.IsObject() {
		return want("", doc, "an object")
	}
	values := map[string]gjson.Result{}
	var bad *flaw
	doc.ForEach(func(key, value gjson.Result) bool {
		if _, twice := values[key.Str]; twice {
			bad = &flaw{key: key.Str, offset: key.Index, text: "the key stands twice"}
			return false
		}
		values[key.Str] = value
		r.top = append(r.top, member{key: key.Str, rawKey: key.Raw, raw: value.Raw})
		return true
	})
	if bad != nil {
		return bad
	}
	if bad := r.readVersion(values); bad != nil {
		return bad
	}
	if v, ok := values[keyLocalProd]; ok && v.Type != gjson.Null && !v.IsObject() {
		return want(keyLocalProd, v, "an object or null")
	}
	if v, ok := values[keyInstances]; ok {
		if bad := checkInstances(v); bad != nil {
			return bad
		}
	}
	if r.version == 1 {
		r.migrate()
		return nil
	}
	return r.readSlots(values[keySlots])
}

// readVersion finds the version, which with the presence of slots must make
// sense: a version 2 without slots, or slots without a version 2, is a file in
// which something was overwritten, and must not pass for a pool without slots.
func (r *Registry) readVersion(values map[string]gjson.Result) *flaw {
	slots, hasSlots := values[keySlots]
	version, hasVersion := values[keyVersion]
	switch {
	case !hasVersion && hasSlots:
		return &flaw{key: keyVersion, offset: -1, text: "missing, although there are slots"}
	case !hasVersion:
		r.version = 1
		return nil
	case version.Raw == "1" && hasSlots:
		return &flaw{key: keySlots, offset: slots.Index, text: "present, although the version is 1"}
	case version.Raw == "1":
		r.version = 1
		return nil
	case version.Raw == "2" && !hasSlots:
		return &flaw{key: keySlots, offset: -1, text: "missing, although the version is 2"}
	case version.Raw == "2":
		r.version = 2
		return nil
	}
	bad := want(keyVersion, version, "the integer 1 or 2")
	if n, err := strconv.Atoi(version.Raw); err == nil && n > 2 {
		bad.text += " (a newer tool may have written the file)"
	}
	return bad
}

func checkInstances(v gjson.Result) (bad *flaw) {
	if !v.IsObject() {
		return want(keyInstances, v, "an object")
	}
	seen := map[string]bool{}
	v.ForEach(func(key, _ gjson.Result) bool {
		if seen[key.Str] {
			bad = &flaw{key: keyInstances + "." + key.Str, offset: key.Index, text: "the key stands twice"}
		}
		seen[key.Str] = true
		return bad == nil
	})
	return bad
}

// migrate makes a version 2 of a version 1: what is there stays, what is missing
// comes in the order of a new document.
func (r *Registry) migrate() {
	if _, ok := r.top.get(keyVersion); ok {
		r.top.set(keyVersion, "2")
	} else {
		r.top = append(object{{key: keyVersion, rawKey: quote(keyVersion), raw: "2"}}, r.top...)
	}
	for _, m := range []struct{ key, raw string }{{keyLocalProd, "null"}, {keyInstances, "{}"}} {
		if _, ok := r.top.get(m.key); !ok {
			r.top.set(m.key, m.raw)
		}
	}
	r.top.set(keySlots, "{}")
}

func (r *Registry) readSlots(v gjson.Result) (bad *flaw) {
	if !v.IsObject() {
		return want(keySlots, v, "an object")
	}
	v.ForEach(func(key, value gjson.Result) bool {
		path := keySlots + "." + key.Str
		id, err := slotID(key.Str)
		if err != nil {
			bad = &flaw{key: path, offset: key.Index, text: err.Error()}
			return false
		}
		if r.byID[id] != nil {
			bad = &flaw{key: path, offset: key.Index, text: "the key stands twice"}
			return false
		}
		e := &entry{raw: value.Raw}
		if e.slot, bad = readSlot(path, id, value); bad != nil {
			return false
		}
		r.entries = append(r.entries, e)
		r.byID[id] = e
		return true
	})
	return bad
}

// want is the flaw of a value that is of another kind than it should be.
func want(key string, got gjson.Result, what string) *flaw {
	const longest = 40
	raw := got.Raw
	switch {
	case got.IsObject():
		raw = "an object"
	case got.IsArray():
		raw = "an array"
	case len(raw) > longest:
		raw = strings.ToValidUTF8(raw[:longest], "") + "…"
	}
	return &flaw{key: key, offset: got.Index, text: fmt.Sprintf("want %s, got %s", what, raw)}
}
