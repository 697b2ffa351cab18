package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/ktrdr/kinfra/engine"
)

// answer is what came of a question.
type answer int

const (
	unasked answer = iota // there is no terminal to ask on
	no
	yes
)

// ask asks a question on the terminal that stdin is. With --yes the answer is yes, as it is
// in a dry run, which changes nothing. All questions of kinfra are asked here.
func (a *app) ask(ctx context.Context, question string) (answer, error) {
	switch {
	case a.globals.yes || a.globals.dryRun:
		return yes, nil
	case a.tests != nil || !isatty.IsTerminal(os.Stdin.Fd()):
		return unasked, nil
	}
	a.interruption.expect() // Ctrl-C ends the question, and the run in its own way
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(os.Stdin).ReadString('\n') // what can't be read is no yes
		line <- text
	}()
	select {
	case text := <-line:
		if text = strings.ToLower(strings.TrimSpace(text)); text == "y" || text == "yes" {
			return yes, nil
		}
		return no, nil
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return no, context.Cause(ctx)
	}
}

// confirm asks for a script whether to go on with what a message says.
func (a *app) confirm(ctx context.Context, message string) error {
	answer, err := a.ask(ctx, message+"\nGo on?")
	switch {
	case err != nil || answer == yes:
		return err
	case answer == no:
		return &engine.Error{Code: engine.Failed, Message: "not confirmed, so it was not done"}
	}
	return engine.UsageError("--yes goes ahead without asking, --dry-run shows what would be done",
		"stdin is not a terminal to ask on. %s", message)
}
