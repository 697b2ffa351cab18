package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The JSON form of a step's result is the one that --output json has, but that a struct
// can be told from a dict: it is an object with the one key "$struct". A secret is one with the
// key "$secret", and its reference. A dict that has a key beginning with "$" is one with the one
// key "$dict".
const (
	structMark = "$struct"
	secretMark = "$secret"
	dictMark   = "$dict"
)

// encodeResult adds the JSON form of a value that a [copier] has made.
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
	case Secret:
		b = append(appendString(append(b, '{'), secretMark), ':')
		return append(appendString(b, v.Reference()), '}')
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

// decodeResult is the value that encodeResult has written, frozen. It reads nothing that
// encodeResult would not write. secret makes the secret of a reference.
func decodeResult(data []byte, secret func(string) (starlark.Value, error)) (starlark.Value, error) {
	d := &resultDecoder{json.NewDecoder(bytes.NewReader(data)), secret, 0}
	d.UseNumber()
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the value")
	}
	v.Freeze()
	return v, nil
}

type resultDecoder struct {
	*json.Decoder
	secret func(string) (starlark.Value, error)
	depth  int
}

func (d *resultDecoder) value() (starlark.Value, error) {
	token, err := d.token()
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
	if d.depth++; d.depth > mostDepth+1 {
		return nil, fmt.Errorf("it nests deeper than %d", mostDepth)
	}
	defer func() { d.depth-- }()
	if token == json.Delim('[') {
		return d.list()
	}
	return d.object()
}

// token is the next one, of which there must be one.
func (d *resultDecoder) token() (json.Token, error) {
	token, err := d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return token, err
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

// list reads what follows a bracket.
func (d *resultDecoder) list() (starlark.Value, error) {
	var all []starlark.Value
	for d.More() {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	_, err := d.token() // the bracket
	return starlark.NewList(all), err
}

// object reads what follows a brace. A dict of the script's own whose keys look like
// marks is marked itself, so at this place such a key is a mark, and the only key.
func (d *resultDecoder) object() (starlark.Value, error) {
	dict := starlark.NewDict(0)
	for d.More() {
		key, err := d.token()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(key.(string), "$") {
			if dict.Len() > 0 {
				return nil, fmt.Errorf("%q stands beside other keys", key)
			}
			return d.marked(key.(string))
		}
		if err := d.entry(dict, key.(string)); err != nil {
			return nil, err
		}
	}
	_, err := d.token() // the brace
	return dict, err
}

// marked reads what follows a mark: an object whose keys are what they are, and the
// brace behind it.
func (d *resultDecoder) marked(mark string) (starlark.Value, error) {
	if mark == secretMark && d.secret != nil {
		return d.reference()
	}
	if mark != structMark && mark != dictMark {
		return nil, fmt.Errorf("%q is no mark", mark)
	}
	token, err := d.token()
	if err == nil && token != json.Delim('{') {
		err = fmt.Errorf("want an object behind %q", mark)
	}
	dict := starlark.NewDict(0)
	for err == nil && d.More() {
		var key json.Token
		if key, err = d.token(); err == nil {
			err = d.entry(dict, key.(string))
		}
	}
	if err == nil {
		_, err = d.token() // the brace
	}
	if err != nil {
		return nil, err
	}
	if err := d.alone(mark); err != nil {
		return nil, err
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

// reference reads what follows the mark of a secret, and makes the secret.
func (d *resultDecoder) reference() (starlark.Value, error) {
	token, err := d.token()
	if err != nil {
		return nil, err
	}
	reference, ok := token.(string)
	if !ok {
		return nil, fmt.Errorf("want a reference behind %q", secretMark)
	}
	if err := d.alone(secretMark); err != nil {
		return nil, err
	}
	return d.secret(reference)
}

// alone fails unless the object with a mark ends here.
func (d *resultDecoder) alone(mark string) error {
	if token, err := d.token(); err != nil || token != json.Delim('}') {
		return fmt.Errorf("%q stands beside other keys", mark)
	}
	return nil
}

func (d *resultDecoder) entry(dict *starlark.Dict, key string) error {
	v, err := d.value()
	if err != nil {
		return err
	}
	if _, twice, _ := dict.Get(starlark.String(key)); twice {
		return fmt.Errorf("the key %q is there twice", key)
	}
	return dict.SetKey(starlark.String(key), v)
}
