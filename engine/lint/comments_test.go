package lint

import (
	"strings"
	"testing"

	"go.starlark.net/syntax"
)

// FuzzComments: the comments that the parser keeps of a script are found. It drops some,
// such as one that follows its statement without a space.
func FuzzComments(f *testing.F) {
	for _, script := range []string{
		"# a\nx = 1 # b\n", "x = '#' # c\n", "x = \"\"\"#\n# in it\n\"\"\" # d\n", "x = r'\\' # e'\n", "x = '\\'#' # f\n",
		"x = 'a\\\n# in it' # g\n", "x = b'#'\r\n# h\r\ny = '''''' # i\n", "f('ä', # j\n)\n", "# k\n\n# l\nx = 1\n# m",
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		tree, err := (&syntax.FileOptions{Set: true}).Parse("x", script, syntax.RetainComments)
		if err != nil || strings.ContainsRune(script, 0) { // where scripts end for the parser
			return
		}
		want := map[[2]int]string{}
		syntax.Walk(tree, func(n syntax.Node) bool {
			if n == nil || n.Comments() == nil {
				return true
			}
			all := n.Comments()
			for _, list := range [][]syntax.Comment{all.Before, all.Suffix, all.After} {
				for _, c := range list {
					want[[2]int{int(c.Start.Line), int(c.Start.Col)}] = c.Text
				}
			}
			return true
		})
		got := map[[2]int]string{}
		for _, c := range comments([]byte(script)) {
			got[[2]int{c.line, c.column}] = c.text
		}
		for at, text := range want {
			if got[at] != text {
				t.Errorf("at %d the parser has %q, here is %q", at, text, got[at])
			}
		}
	})
}
