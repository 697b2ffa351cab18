package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
)

// asker is who answers the questions of this execution: whoever sits at the terminal or,
// with --output events, whoever reads them and writes to stdin; in a test its answers.
func (a *app) asker() engine.Asker {
	switch {
	case a.answers != nil:
		return a.answers
	case a.tests == nil && a.globals.output == engine.Events:
		return &lineAsker{a, &input{file: os.Stdin}}
	}
	return &terminalAsker{a, &input{file: os.Stdin}}
}

// terminalAsker asks on the terminal that stdin is.
type terminalAsker struct {
	app   *app
	input *input
}

func (t *terminalAsker) Nobody() *engine.NobodyError {
	if t.app.tests != nil || !isatty.IsTerminal(os.Stdin.Fd()) {
		return &engine.NobodyError{Why: "stdin is not a terminal to ask on"}
	}
	return nil
}

func (t *terminalAsker) Ask(ctx context.Context, q *event.Question) (*event.Answer, error) {
	t.app.interruption.expect() // Ctrl-C ends the question, and the run in its own way
	io.WriteString(t.app.stderr, prompt(q))
	line, err := t.input.line(ctx)
	if err != nil {
		io.WriteString(t.app.stderr, "\n")
		return nil, nothingCame(ctx, err, "the terminal's input has ended without an answer")
	}
	value, err := q.FromText(line)
	return &event.Answer{Value: value, By: event.ByTerminal}, err
}

// prompt is a question as a terminal shows it, up to where the answer is typed.
func prompt(q *event.Question) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(q.Message, " \n"))
	for i, choice := range q.Choices {
		fmt.Fprintf(&b, "\n  %d  %s", i+1, choice)
	}
	standard := ""
	if q.Default != nil {
		standard = (&event.Answer{Value: q.Default}).Shown()
	}
	switch {
	case q.Kind == event.Confirm:
		if !strings.HasSuffix(b.String(), "?") {
			b.WriteString("\nGo on?")
		}
		return b.String() + either(standard == "yes", " [Y/n] ", " [y/N] ")
	case q.Kind == event.Choose:
		b.WriteString("\nNumber or name")
	}
	if q.Default != nil {
		fmt.Fprintf(&b, " [%s]", standard)
	}
	return b.String() + either(q.Kind == event.Choose || q.Default != nil, ": ", " ")
}

// lineAsker asks by events, which the run prints, and reads answers as lines of JSON.
type lineAsker struct {
	app   *app
	input *input
}

func (l *lineAsker) Nobody() *engine.NobodyError { return nil } // only reading tells

func (l *lineAsker) Ask(ctx context.Context, q *event.Question) (*event.Answer, error) {
	l.app.interruption.expect()
	line, err := l.input.line(ctx)
	if err != nil {
		return nil, nothingCame(ctx, err, "stdin has ended without an answer")
	}
	value, err := answerOf(q, line)
	return &event.Answer{Value: value, By: event.ByStdin}, err
}

// answerOf is the answer of a line such as {"id": 1, "answer": true}.
func answerOf(q *event.Question, line string) (json.RawMessage, error) {
	var given struct {
		ID     *int            `json:"id"`
		Answer json.RawMessage `json:"answer"`
	}
	if err := json.Unmarshal([]byte(line), &given); err != nil || given.ID == nil || given.Answer == nil {
		return nil, &event.WrongAnswer{Message: fmt.Sprintf(`%.100q is no answer: want a line such as {"id": %d, "answer": …}`, line, q.ID)}
	}
	if *given.ID != q.ID {
		return nil, &event.WrongAnswer{Message: fmt.Sprintf("an answer to the question %d came, want one to %d", *given.ID, q.ID)}
	}
	return q.FromJSON(given.Answer)
}

// nothingCame is why there is no answer.
func nothingCame(ctx context.Context, err error, ended string) error {
	_, wrong := errors.AsType[*event.WrongAnswer](err)
	switch {
	case wrong:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return &engine.NobodyError{Why: ended}
	}
	return &engine.NobodyError{Why: fmt.Sprintf("stdin can't be read (%v)", err)}
}

// input is what comes on stdin. It is read a line at a time and no further: the rest may be
// for a child process.
type input struct {
	file    io.Reader
	pending chan typed // of a line that is being read
}

type typed struct {
	line string
	err  error
}

// line waits for a line, and gives it without its line break. One that comes after ctx has
// ended is for the next call: nothing can end the reading.
func (i *input) line(ctx context.Context) (string, error) {
	if i.pending == nil {
		pending := make(chan typed, 1)
		i.pending = pending
		go func() {
			line, err := readLine(i.file)
			pending <- typed{line, err}
		}()
	}
	select {
	case t := <-i.pending:
		i.pending = nil
		return t.line, t.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// longestLine is how many bytes an answer may have.
const longestLine = 64 << 10

// readLine reads up to a line break or the end. An empty line at the end is io.EOF.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for next := make([]byte, 1); ; {
		n, err := r.Read(next)
		switch {
		case n == 1 && next[0] == '\n', err != nil && len(line) > 0:
			if len(line) > longestLine {
				return "", &event.WrongAnswer{Message: fmt.Sprintf("an answer may have %d bytes", longestLine)}
			}
			return strings.TrimSuffix(string(line), "\r"), nil
		case n == 1:
			if len(line) <= longestLine {
				line = append(line, next[0])
			}
		case err != nil:
			return "", err
		}
	}
}
