package builtins

import (
	"fmt"
	"strings"

	prettytext "github.com/jedib0t/go-pretty/v6/text"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/registry"
)

// textModule lays out what a workflow shows.
func textModule() table.Module {
	return table.Module{
		Name: "text", Doc: "The layout of what a workflow shows.",
		Builtins: []table.Builtin{
			{
				Name: "text.line", Doc: "Gives a text, of which somebody else has written a part, as it can stand within a line: quoted where it has characters that aren't seen, such as line breaks.",
				Params: []table.Param{{Name: "text", Type: table.String(), Help: "the text"}},
				Result: "a string", Run: textLine,
				Example: `text.line("one\ntwo")  # -> "\"one\\ntwo\""`,
			},
			{
				Name: "text.table", Doc: "Gives a table with a line for the header and one for each row, its columns aligned.",
				Params: []table.Param{
					{Name: "header", Type: table.Strings(), Help: "the columns' names"},
					{Name: "rows", Type: table.ListOf("a list of rows", table.List()), Help: "the rows: a list of values each, as many as there are columns"},
				},
				Result: "a string without a final newline",
				Errors: "A row of another length than the header.",
				Run:    textTable,
				Example: `rows = [[s.id, s.profile] for s in registry.slots()]
print(text.table(["Slot", "Profile"], rows))`,
			},
			{
				Name: "text.style", Doc: "Colours a text where colours are shown; elsewhere it stays as it is.",
				Params: []table.Param{
					{Name: "text", Type: table.String(), Help: "the text"},
					{Name: "color", Type: table.String(), Help: "green, yellow, red, dim or bold"},
				},
				Result: "a string", Errors: "An unknown colour.", Run: textStyle,
				Example: `print(text.style("running", "green"))
text.style("running", "pink")  # fails: pink`,
			},
		},
	}
}

func textLine(c *table.Call) (starlark.Value, error) {
	return starlark.String(registry.Shown(c.String("text"))), nil
}

func textTable(c *table.Call) (starlark.Value, error) {
	header := c.Strings("header")
	ink := engine.Current(c.Thread).Ink()
	rows := [][]string{header}
	for n, v := range c.List("rows") {
		row := make([]string, 0, len(header))
		for cell := range starlark.Elements(v.(starlark.Iterable)) {
			// A row is a line, whatever is in its cells, and as wide as it is printed.
			row = append(row, ink.Line(strings.ReplaceAll(engine.TextOf(cell), "\t", tab)))
		}
		if len(row) != len(header) {
			return nil, fmt.Errorf("text.table: row %d has %d cells, the header %d", n+1, len(row), len(header))
		}
		rows = append(rows, row)
	}
	return starlark.String(strings.Join(aligned(rows), "\n")), nil
}

// tab is a tab in a table.
const tab = "    "

// aligned is the lines of a table, without blanks at their ends. A cell may itself have
// several lines. The library's own tables do the same, and more that each process would
// pay for at its start.
func aligned(rows [][]string) []string {
	const gap = "  "
	widths := make([]int, len(rows[0]))
	cells := make([][][]string, len(rows)) // the lines of each cell
	for r, row := range rows {
		cells[r] = make([][]string, len(row))
		for i, cell := range row {
			cells[r][i] = strings.Split(strings.ReplaceAll(cell, "\t", tab), "\n")
			for _, line := range cells[r][i] {
				widths[i] = max(widths[i], prettytext.StringWidthWithoutEscSequences(line))
			}
		}
	}
	var lines []string
	for _, row := range cells {
		height := 1
		for _, cell := range row {
			height = max(height, len(cell))
		}
		for n := range height {
			var line strings.Builder
			for i, cell := range row {
				part := ""
				if n < len(cell) {
					part = cell[n]
				}
				line.WriteString(prettytext.Pad(part, widths[i], ' '))
				line.WriteString(gap)
			}
			lines = append(lines, strings.TrimRight(line.String(), " "))
		}
	}
	return lines
}

func textStyle(c *table.Call) (starlark.Value, error) {
	colors := map[string]prettytext.Color{
		"green": prettytext.FgGreen, "yellow": prettytext.FgYellow, "red": prettytext.FgRed,
		"dim": prettytext.Faint, "bold": prettytext.Bold,
	}
	color, known := colors[c.String("color")]
	if !known {
		return nil, fmt.Errorf("text.style: color is %q: want green, yellow, red, dim or bold", c.String("color"))
	}
	return starlark.String(engine.Current(c.Thread).Ink().Paint(int(color), c.String("text"))), nil
}
