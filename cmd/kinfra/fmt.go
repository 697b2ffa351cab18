package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/format"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
)

// fmtOptions is what `kinfra fmt` does instead of writing.
type fmtOptions struct {
	check bool
	diff  bool
}

func (a *app) fmtCommand() *cobra.Command {
	var o fmtOptions
	c := &cobra.Command{
		Use:   "fmt [PATH…]",
		Short: "Format scripts, as buildifier does",
		Long: `Format scripts, as buildifier does.

A PATH is a script, or a directory: then it is all .star files below that; "-" is
standard input, whose formatted text is printed. Without one it is your own scripts and
those of the project: the layers outside of the binary, that of --scripts first.

A file is replaced as a whole, and only if it changes. One that doesn't parse is left
alone, and the others are done all the same; the exit code is then 2. So is one that the
formatter can't be trusted with: what comes out is compared, and must be the same program
with the same comments.`,
		ValidArgsFunction: completeScripts,
	}
	c.Flags().BoolVar(&o.check, "check", false, "only name the files that would change; the exit code is 1 if there are any")
	c.Flags().BoolVar(&o.diff, "diff", false, "only show what would change")
	c.RunE = func(c *cobra.Command, paths []string) error {
		if len(paths) == 1 && paths[0] == "-" {
			return a.formatInput(c.Context(), o)
		}
		return a.format(c.Context(), paths, o)
	}
	return c
}

// formatted is a script and what becomes of it.
type formatted struct {
	file  layer.File
	text  []byte // as it should be
	fault error  // why it can't be formatted
}

func (f formatted) changed() bool { return f.fault == nil && !bytes.Equal(f.file.Data, f.text) }

// diff is what changes, as a unified diff.
func (f formatted) diff() []byte {
	return diff.Diff(f.file.Path(), f.file.Data, f.file.Path()+" (formatted)", f.text)
}

func (a *app) format(ctx context.Context, paths []string, o fmtOptions) error {
	layers, err := a.authoringLayers()
	if err != nil {
		return err
	}
	files, err := a.namedScripts(layers, paths)
	if err == nil && len(paths) == 0 {
		files, err = ownScripts(layers)
	}
	if err != nil {
		return err
	}
	var all []formatted
	for _, file := range files {
		f, err := formatFile(ctx, file)
		if err != nil {
			return err
		}
		if f.changed() && !o.check && !o.diff {
			if err := a.rewrite(f); err != nil {
				return err
			}
		}
		all = append(all, f)
	}
	return a.formatResult(all, o)
}

// formatFile formats a script. An error is the end of all: the run was ended.
func formatFile(ctx context.Context, file layer.File) (formatted, error) {
	text, err := format.Script(ctx, file.Path(), file.Data)
	if ctx.Err() != nil {
		return formatted{}, context.Cause(ctx)
	}
	return formatted{file, text, err}, nil
}

// rewrite puts the formatted script in the place of the file, whose mode it keeps.
func (a *app) rewrite(f formatted) error {
	path := filepath.Join(f.file.Layer.Dir, filepath.FromSlash(f.file.Name))
	info, err := a.world.Disk.Host().Lstat(path)
	if err == nil && info.Mode.Type() == fs.ModeSymlink {
		err = errors.New("a symbolic link: name the file that it leads to")
	}
	if err == nil {
		err = world.Replace(a.world.Disk.Host(), a.world, path, f.text, info.Mode.Perm())
	}
	if err != nil {
		return fmt.Errorf("formatting %s: %w", f.file.Path(), err)
	}
	return nil
}

// formatReport is the result of `kinfra fmt`.
type formatReport struct {
	Files   int            `json:"files"`
	Changed []string       `json:"changed"` // or what would be
	Failed  []formatFailed `json:"failed"`
	Diff    string         `json:"diff,omitempty"`

	faulty bool // one of those that failed doesn't parse
}

type formatFailed struct {
	File    string `json:"file"`
	Message string `json:"message"`
}

// formatResult says what became of the files, or would.
func (a *app) formatResult(all []formatted, o fmtOptions) error {
	report := formatReport{Files: len(all), Changed: []string{}, Failed: []formatFailed{}}
	var problems strings.Builder
	for _, f := range all {
		switch {
		case f.fault != nil:
			report.Failed = append(report.Failed, formatFailed{f.file.Path(), f.fault.Error()})
			_, doesNotParse := errors.AsType[syntax.Error](f.fault)
			report.faulty = report.faulty || doesNotParse
			for _, d := range diag.Of(f.fault, func(string) []byte { return f.file.Data }) {
				problems.WriteString(d.Text())
			}
		case f.changed():
			report.Changed = append(report.Changed, f.file.Path())
			if o.diff {
				report.Diff += string(f.diff())
			}
		}
	}
	return a.print("fmt", report, report.fault(o), func() {
		a.showFormatted(report, o)
		io.WriteString(a.stderr, problems.String())
	})
}

// fault is why the command ends with another code than 0.
func (r formatReport) fault(o fmtOptions) error {
	switch {
	case len(r.Failed) > 0:
		next := ""
		if r.faulty {
			next = "kinfra check tells all that is wrong with a script"
		}
		return engine.UsageError(next, "%d of %s can't be formatted", len(r.Failed), number(r.Files, "file"))
	case o.check && len(r.Changed) > 0:
		return &engine.Error{Code: engine.Failed, Message: fmt.Sprintf("%d of %s would change", len(r.Changed), number(r.Files, "file")),
			Next: "kinfra fmt formats them, kinfra fmt --diff shows what would change"}
	}
	return nil
}

// showFormatted prints the diff, or which files change, or that none does.
func (a *app) showFormatted(r formatReport, o fmtOptions) {
	var out strings.Builder
	out.WriteString(r.Diff)
	verb := "Formatted "
	switch {
	case o.check:
		verb = ""
	case a.globals.dryRun:
		verb = "Would format "
	}
	for _, name := range r.Changed {
		if !o.diff {
			fmt.Fprintf(&out, "%s%s\n", verb, name)
		}
	}
	if len(r.Changed) == 0 && len(r.Failed) == 0 && !o.diff {
		fmt.Fprintf(&out, "%s: nothing to change\n", number(r.Files, "file"))
	}
	a.stdout.Write([]byte(out.String()))
}

// formatInput formats standard input.
func (a *app) formatInput(ctx context.Context, o fmtOptions) error {
	data, err := io.ReadAll(io.LimitReader(os.Stdin, layer.MaxFile+1))
	if err == nil && len(data) > layer.MaxFile {
		err = fmt.Errorf("more than %d KiB", layer.MaxFile>>10)
	}
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	f, err := formatFile(ctx, layer.File{Layer: &layer.Layer{}, Name: "standard input", Data: data})
	if err != nil {
		return err
	}
	if o.check || o.diff || f.fault != nil {
		return a.formatResult([]formatted{f}, o)
	}
	return a.print("fmt", map[string]string{"text": string(f.text)}, nil, func() { a.stdout.source(f.text) })
}
