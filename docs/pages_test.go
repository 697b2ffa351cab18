package docs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine"
)

// pages is the Markdown pages of the repository by their path from its top.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	top := os.DirFS("..")
	for _, pattern := range []string{"*.md", "*/*.md"} {
		names, err := fs.Glob(top, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(top, name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = string(data)
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d pages found: the test does not see the repository", len(all))
	}
	return all
}

// TestLinks: links within the repository lead to a file that is there, and to a
// heading that is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	all := pages(t)
	for name, text := range all {
		for _, match := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(match[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("..", target)); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			} else if heading != "" && !slices.Contains(anchors(all[target]), heading) {
				t.Errorf("%s links to %s: %s has the headings %q", name, match[1], target, anchors(all[target]))
			}
		}
	}
}

// withoutCode is a page without its fenced blocks.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

// anchors is the addresses of a page's headings, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(withoutCode(text), -1) {
		address := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(address, " ", "-"))
	}
	return all
}

// TestExitCodes: the tables of exit codes have all of them, with the names that
// scripts and programs use.
func TestExitCodes(t *testing.T) {
	all := pages(t)
	for code := engine.Code(0); code < 256; code++ {
		if code != engine.Failed && code.String() == engine.Failed.String() {
			continue // no code of its own
		}
		if row := fmt.Sprintf("\n| %d |", code); !strings.Contains(all["README.md"], row) {
			t.Errorf("README.md has no row %q", row)
		}
		if row := fmt.Sprintf("\n| %d | `%s` |", code, code); !strings.Contains(all["docs/reports.md"], row) {
			t.Errorf("docs/reports.md has no row %q", row)
		}
	}
}

// TestTestCommand: the README's command for the tests is the one that CI runs.
func TestTestCommand(t *testing.T) {
	const command = "\ngo test ./...\n"
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(pages(t)["README.md"], command) || !strings.Contains(string(ci), command) {
		t.Errorf("want the line %q in README.md and in .ci/run", strings.TrimSpace(command))
	}
}
