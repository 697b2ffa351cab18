package verdict_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/verdict"
)

// tried is a report of names, of which "b" is a broken promise.
type tried []string

func (r tried) Code() int { return strings.Count(strings.Join(r, ""), "b") }
func (r tried) Print(out io.Writer, asJSON bool) error {
	_, err := fmt.Fprintf(out, "tried %v, as JSON: %v\n", []string(r), asJSON)
	return err
}

func TestRun(t *testing.T) {
	for args, test := range map[string]struct {
		code   int
		stdout string
		stderr string // a part of it
	}{
		"":                 {1, "tried [a b c fails], as JSON: false\n", "trying 1 times"},
		"-run ^[ac]$ -n 3": {0, "tried [a c], as JSON: false\n", "trying 3 times"},
		"-run b -json":     {1, "tried [b], as JSON: true\n", "trying"},
		"-run x":           {2, "", `error: -run "x" matches none of: a, b, c, fails`},
		"-run (":           {2, "", "error: -run: "},
		"-run fails":       {2, "", "error: out of luck"},
		"-n 0":             {2, "", "error: -n 0: want 1 or more"},
		"a":                {2, "", `error: "a": want flags only`},
		"-x":               {2, "", "flag provided but not defined: -x"},
	} {
		var n *int
		table := verdict.Table[string]{
			Name: "test", Promises: []string{"a", "b", "c", "fails"}, NameOf: strings.Clone,
			Declare: func(flags *flag.FlagSet) func() error {
				n = flags.Int("n", 1, "how often")
				return func() error {
					if *n < 1 {
						return fmt.Errorf("-n %d: want 1 or more", *n)
					}
					return nil
				}
			},
			Try: func(_ context.Context, chosen []string, progress io.Writer) (verdict.Report, error) {
				fmt.Fprintf(progress, "trying %d times\n", *n)
				if chosen[0] == "fails" {
					return nil, errors.New("out of luck")
				}
				return tried(chosen), nil
			},
		}
		var stdout, stderr bytes.Buffer
		code := table.Run(t.Context(), strings.Fields(args), &stdout, &stderr)
		if code != test.code || stdout.String() != test.stdout || !strings.Contains(stderr.String(), test.stderr) || strings.Contains(stderr.String(), "wrong usage") {
			t.Errorf("%q: code %d, want %d\nstdout %q, want %q\nstderr %q, want %q in it", args, code, test.code, &stdout, test.stdout, &stderr, test.stderr)
		}
	}
}
