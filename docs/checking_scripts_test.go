package docs_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/lint"
)

// TestRulesOfCheck: the page's table has the rules, in their order, and no other.
func TestRulesOfCheck(t *testing.T) {
	page, err := os.ReadFile("checking-scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| rule | finds |\n|---|---|\n"
	for _, r := range lint.Rules() {
		table += fmt.Sprintf("| `%s` | %s |\n", r.Name, r.Doc)
	}
	if !strings.Contains(string(page), "\n"+table+"\n") {
		t.Errorf("checking-scripts.md has not this table:\n%s", table)
	}
}
