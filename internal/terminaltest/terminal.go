// Package terminaltest is a terminal for tests: it takes what a program prints, and
// tells what its user would see. It knows the codes that kinfra uses, and fails at
// every other one.
package terminaltest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Terminal is a terminal that keeps all rows that were ever shown. Its methods may be
// called by several goroutines at once.
type Terminal struct {
	// Wide has characters that some terminals take for wide take two columns.
	Wide bool

	mu            sync.Mutex
	width, height int
	reflows       bool
	rows          []row // the screen is the last ones
	x, y          int   // the cursor; y counts from the first of all rows
	noWrap        bool
	partial       []byte // of a character or code that has not come as a whole
	style         string
	problems      []string
}

// row is a row of cells. One that is continued is followed by the rest of its line.
type row struct {
	cells     []cell
	continued bool
}

// cell is a character, with those that combine with it. A wide one is followed by an
// empty cell.
type cell struct{ text, style string }

// New is an empty terminal. One that reflows breaks and joins rows when its width
// changes, as most do; the others cut them off, as xterm does.
func New(width, height int, reflows bool) *Terminal {
	t := &Terminal{width: width, height: height, reflows: reflows}
	t.fill()
	return t
}

// Write prints.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	data := append(t.partial, p...)
	for len(data) > 0 {
		n := t.next(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	t.partial = append([]byte(nil), data...)
	return len(p), nil
}

// next prints the first character or code of data, and gives its length; 0 if the rest of
// it is yet to come.
func (t *Terminal) next(data []byte) int {
	if data[0] == '\x1b' {
		return t.code(data)
	}
	if !utf8.FullRune(data) {
		return 0
	}
	r, n := utf8.DecodeRune(data)
	switch {
	case r == '\n': // to which the system adds the return of the cursor
		t.down()
		t.x = 0
	case r == '\r':
		t.x = 0
	case r == '\t':
		t.x = min((t.x/8+1)*8, t.width-1)
	case r < ' ' || r == '\x7f':
		t.problem("the control character %q", r)
	default:
		width := runewidth.Condition{EastAsianWidth: t.Wide}
		t.put(string(r), width.RuneWidth(r))
	}
	return n
}

// code carries out an escape code.
func (t *Terminal) code(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	end := strings.IndexFunc(string(data[2:]), func(r rune) bool { return r >= '@' && r <= '~' })
	if data[1] != '[' {
		t.problem("the code %q", data[:2])
		return 2
	}
	if end < 0 {
		return 0
	}
	params, final := string(data[2:2+end]), data[2+end]
	number, _ := strconv.Atoi(params)
	switch full := params + string(final); {
	case final == 'm':
		t.style = strings.TrimSuffix(params, "0")
	case final == 'A':
		t.y = max(t.y-max(number, 1), t.top())
	case full == "J":
		t.row().erase(t.x)
		for i := t.y + 1; i < len(t.rows); i++ {
			t.rows[i] = row{}
		}
	case full == "K":
		t.row().erase(t.x)
	case full == "?7l", full == "?7h":
		t.noWrap = final == 'l'
	default:
		t.problem("the code %q", data[:3+end])
	}
	return 3 + end
}

func (t *Terminal) put(text string, width int) {
	if width == 0 {
		if x := min(t.x, len(t.row().cells)) - 1; x >= 0 {
			t.row().cells[x].text += text
		}
		return
	}
	if t.x+width > t.width {
		if t.noWrap {
			t.x = t.width - width
		} else {
			t.row().continued = true
			t.down()
			t.x = 0
		}
	}
	r := t.row()
	for len(r.cells) < t.x+width {
		r.cells = append(r.cells, cell{text: " "})
	}
	r.cells[t.x] = cell{text, t.style}
	if width == 2 {
		r.cells[t.x+1] = cell{}
	}
	t.x += width
}

func (r *row) erase(from int) {
	r.cells, r.continued = r.cells[:min(from, len(r.cells))], false
}

func (t *Terminal) row() *row { return &t.rows[t.y] }
func (t *Terminal) top() int  { return len(t.rows) - t.height }

func (t *Terminal) down() {
	t.y++
	t.fill()
}

// fill adds the rows that the screen lacks.
func (t *Terminal) fill() {
	for len(t.rows) < max(t.height, t.y+1) {
		t.rows = append(t.rows, row{})
	}
}

func (t *Terminal) problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

// Resize changes the size, as a user does with the mouse.
func (t *Terminal) Resize(width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reflows {
		t.reflow(width)
	} else {
		for i := range t.rows {
			t.rows[i].erase(width)
		}
	}
	surplus := t.height - height // rows; those below the cursor go first
	t.width, t.height, t.x = width, height, min(t.x, width-1)
	for len(t.rows) > max(t.y+1, height) && (surplus > 0 || t.rows[len(t.rows)-1].text() == "") {
		t.rows = t.rows[:len(t.rows)-1]
		surplus--
	}
	t.fill()
	t.y = max(t.y, t.top())
}

// reflow breaks all lines anew. The cursor stays at its character.
func (t *Terminal) reflow(width int) {
	var all []row
	y, x := t.y, t.x
	for i := 0; i < len(t.rows); {
		var line []cell
		at := -1 // where the cursor is in the line
		for more := true; more && i < len(t.rows); i++ {
			if i == t.y {
				at = len(line) + t.x
			}
			line = append(line, t.rows[i].cells...)
			more = t.rows[i].continued
		}
		rows := broken(line, width)
		if at >= 0 {
			y, x = len(all)+min(at/width, len(rows)-1), at%width
		}
		all = append(all, rows...)
	}
	t.rows, t.y, t.x = all, y, x
}

// broken is a line in rows of a width.
func broken(line []cell, width int) []row {
	rows := []row{{}}
	for i := 0; i < len(line); i++ {
		last := &rows[len(rows)-1]
		wide := i+1 < len(line) && line[i+1].text == ""
		if len(last.cells) >= width || wide && len(last.cells)+1 >= width {
			last.continued = true
			rows = append(rows, row{})
			last = &rows[len(rows)-1]
		}
		last.cells = append(last.cells, line[i])
	}
	return rows
}

// Screen is what the rows show, from the first that ever was to the last that is not
// empty, without spaces at their ends.
func (t *Terminal) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, r := range t.rows {
		b.WriteString(strings.TrimRight(r.text(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Visible is how many rows of the screen are not empty, and the height of the screen.
func (t *Terminal) Visible() (used, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows[t.top():] {
		if strings.TrimSpace(r.text()) != "" {
			used++
		}
	}
	return used, t.height
}

// Style is that of the first place where the rows show a text: the numbers of its colour,
// or "" for that of the terminal itself.
func (t *Terminal) Style(text string) (style string, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		before, _, ok := strings.Cut(r.text(), text)
		if !ok {
			continue
		}
		at := 0
		for i := range r.cells {
			if at == len(before) {
				return r.cells[i].style, true
			}
			at += len(r.cells[i].text)
		}
	}
	return "", false
}

// Clean is what is wrong with how a program has left the terminal: codes that it should
// not have printed, or a state that the next program would suffer from.
func (t *Terminal) Clean() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch below := t.rows[t.y+1:]; {
	case len(t.problems) > 0:
		return fmt.Errorf("it was sent %s", strings.Join(t.problems, ", "))
	case t.noWrap:
		return fmt.Errorf("it doesn't wrap lines any more")
	case t.style != "":
		return fmt.Errorf("it still has the colour %s", t.style)
	case t.x != 0 || t.row().text() != "":
		return fmt.Errorf("the cursor is at column %d of %q", t.x, t.row().text())
	default:
		for _, r := range below {
			if r.text() != "" {
				return fmt.Errorf("below the cursor is still %q", r.text())
			}
		}
	}
	return nil
}

func (r *row) text() string {
	var b strings.Builder
	for _, c := range r.cells {
		b.WriteString(c.text)
	}
	return b.String()
}
