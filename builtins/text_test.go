package builtins

import (
	"strings"
	"testing"

	prettytable "github.com/jedib0t/go-pretty/v6/table"
)

// TestAligned: a table looks as the library's would, whose widths of characters and
// escape codes it goes by.
func TestAligned(t *testing.T) {
	for name, rows := range map[string][][]string{
		"header alone":  {{"Slot", "Profile"}},
		"one column":    {{"Slot"}, {"1"}, {"1000000"}},
		"widths":        {{"Slot", "Profile", "Claimed By"}, {"1", "light", "-"}, {"10", "standard", "/home/user/worktree"}},
		"empty cells":   {{"a", "", "c"}, {"", "b", ""}, {"", "", ""}},
		"several lines": {{"Name", "Log", "End"}, {"one", "first\nsecond line\n\nlast", "x"}, {"two\nthree", "-", "y\n"}},
		"wide":          {{"Name", "x"}, {"漢字", "y"}, {"é", "z"}, {"e\u0301", "z"}, {"👍", "z"}},
		"colours":       {{"Status", "x"}, {"\x1b[32mrunning\x1b[0m", "y"}, {"stopped", "\x1b[31mz\x1b[0m"}},
		"tabs":          {{"a", "b"}, {"x\ty", "z"}},
		"blanks":        {{"a", "b"}, {" x ", " y "}},
	} {
		w := prettytable.NewWriter()
		style := prettytable.StyleDefault
		style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
		style.Options = prettytable.OptionsNoBordersAndSeparators
		style.Format = prettytable.FormatOptions{}
		w.SetStyle(style)
		w.SuppressTrailingSpaces()
		for i, row := range rows {
			cells := make(prettytable.Row, len(row))
			for j, cell := range row {
				cells[j] = cell
			}
			if i == 0 {
				w.AppendHeader(cells)
			} else {
				w.AppendRow(cells)
			}
		}
		if got, want := strings.Join(aligned(rows), "\n"), w.Render(); got != want {
			t.Errorf("%s:\n%q\nwant\n%q", name, got, want)
		}
	}
}
