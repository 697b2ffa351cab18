package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The JSON form of a step's result is the one that --output json has, but that a struct
// can be told from a dict: it is an object with the one key "$struct". A dict that has a
// key beginning with "$" is one with the one key "$dict".
const (
	structMark = "$struct"
	dictMark   = "$dict"
)

// encodeResult adds the JSON form of a value that [recorded] has made.
func encodeResult(b []byte, v starlark.Value) []byte {
	switch v := v.(type) {
	case *starlark.List:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = encodeResult(b, v.Index(i))
		}
		return append(b, ']')
	case *starlark.Dict:
		marked := false
		for _, key := range v.Keys() {
			marked = marked || strings.HasPrefix(string(key.(starlark.String)), "$")
		}
		return encodeObject(b, marked, dictMark, v.Items())
	case *starlarkstruct.Struct:
		fields := make([]starlark.Tuple, 0, len(v.AttrNames()))
		for _, name := range v.AttrNames() {
			field, _ := v.Attr(name) // it is there
			fields = append(fields, starlark.Tuple{starlark.String(name), field})
		}
		return encodeObject(b, true, structMark, fields)
	}
	b, _ = appendJSON(b, v, 0) // what is left has a JSON form
	return b
}

func encodeObject(b []byte, marked bool, mark string, items []starlark.Tuple) []byte {
	if marked {
		b = append(appendString(append(b, '{'), mark), ':')
	}
	b = append(b, '{')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, string(item[0].(starlark.String))), ':')
		b = encodeResult(b, item[1])
	}
	b = append(b, '}')
	if marked {
		b = append(b, '}')
	}
	return b
}

// decodeResult is the value that encodeResult has written, frozen.
func decodeResult(data []byte) (starlark.Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	v.Freeze()
	return v, nil
}

func decodeValue(d *json.Decoder) (starlark.Value, error) {
	token, err := d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case nil:
		return starlark.None, nil
	case bool:
		return starlark.Bool(t), nil
	case string:
		return starlark.String(t), nil
	case json.Number:
		return decodeNumber(string(t))
	}
	if token == json.Delim('[') {
		return decodeList(d)
	}
	return decodeObject(d)
}

func decodeNumber(text string) (starlark.Value, error) {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		return starlark.Float(f), err
	}
	i, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("%q is not a number", text)
	}
	return starlark.MakeBigInt(i), nil
}

func decodeList(d *json.Decoder) (starlark.Value, error) {
	var all []starlark.Value
	for d.More() {
		v, err := decodeValue(d)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	_, err := d.Token() // the bracket
	return starlark.NewList(all), err
}

// decodeObject reads what follows a brace. A dict of the script's own whose keys look like
// marks is marked itself, so at this place the one key that is a mark means one.
func decodeObject(d *json.Decoder) (starlark.Value, error) {
	dict := starlark.NewDict(0)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		if key == structMark || key == dictMark {
			return decodeMarked(d, key.(string))
		}
		if err := decodeEntry(d, dict, key.(string)); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the brace
	return dict, err
}

// decodeMarked reads what follows a mark: an object whose keys are what they are, and
// the brace behind it.
func decodeMarked(d *json.Decoder, mark string) (starlark.Value, error) {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("want an object behind %q: %w", mark, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	dict := starlark.NewDict(0)
	for d.More() {
		key, err := d.Token()
		if err == nil {
			err = decodeEntry(d, dict, key.(string))
		}
		if err != nil {
			return nil, err
		}
	}
	for range 2 { // the braces
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	if mark == dictMark {
		return dict, nil
	}
	fields := starlark.StringDict{}
	for _, field := range dict.Items() {
		fields[string(field[0].(starlark.String))] = field[1]
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, fields), nil
}

func decodeEntry(d *json.Decoder, dict *starlark.Dict, key string) error {
	v, err := decodeValue(d)
	if err != nil {
		return err
	}
	return dict.SetKey(starlark.String(key), v)
}
