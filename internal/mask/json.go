package mask

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON is a JSON text with the values masked in its strings and numbers, so that it stays
// one: a number with a value in it is the string "***" then. Where there are none, it is data
// itself.
func (s *Set) JSON(data []byte) []byte {
	if s.Empty() {
		return data
	}
	var out []byte
	for i := 0; i < len(data); {
		n := tokenLength(data[i:])
		out = append(out, s.token(data[i:i+n])...)
		i += n
	}
	return out
}

// tokenLength is how long the string, number or other byte is with which JSON begins.
func tokenLength(data []byte) int {
	if data[0] == '"' {
		for i := 1; i < len(data); i++ {
			switch data[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(data)
	}
	n := 0
	for n < len(data) && strings.IndexByte("+-.0123456789eE", data[n]) >= 0 {
		n++
	}
	return max(n, 1)
}

func (s *Set) token(token []byte) []byte {
	text := string(token)
	if token[0] == '"' && json.Unmarshal(token, &text) != nil {
		return []byte(`"` + Hidden + `"`) // no JSON, so nobody can tell what is in it
	}
	masked := s.Text(text)
	switch {
	case masked == text:
		return token
	case token[0] != '"':
		masked = Hidden
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(masked) // can't fail for a string
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
