package journal

import (
	"bytes"
	"errors"
	"maps"
)

// Beginning is the first lines of a journal, read once. From it the whole of a journal that
// begins so can be read many times, as it takes to look at every damage to the rest: what is
// read of a line depends on nothing that comes later but the seal.
type Beginning struct{ reading }

// Beginnings reads a journal that is not damaged, with its seal, and gives what is read
// before each of its lines, and after the last.
func Beginnings(text, seal []byte) ([]*Beginning, error) {
	s, err := parseSeal(seal)
	if err != nil {
		return nil, err
	}
	r := newReading(text, s)
	all := []*Beginning{r.beginning()}
	for r.whole < len(text) {
		number := len(all)
		data, _, ended := bytes.Cut(text[r.whole:], []byte("\n"))
		line, err := r.line(number, data)
		if err == nil && !ended {
			err = errors.New("the line has no end")
		}
		if err == nil {
			r.whole += len(data) + 1
			err = r.add(number, line)
		}
		if err != nil {
			return nil, &DamagedError{"the journal", number, err}
		}
		all = append(all, r.beginning())
	}
	return all, nil
}

// beginning is the reading with memory of its own.
func (r *reading) beginning() *Beginning {
	b := &Beginning{*r}
	b.events = b.events[:len(b.events):len(b.events)]
	b.running, b.memory = maps.Clone(r.running), nil
	return b
}

// Read reads a journal that begins so. It gives the number of lines that count, and whether
// something behind them is left out.
func (b *Beginning) Read(text []byte) (lines int, dropped bool, err error) {
	r := b.beginning()
	r.data = text
	c, err := r.finish("the journal")
	if err != nil {
		return 0, false, err
	}
	return len(c.events), c.whole < len(text), nil
}
