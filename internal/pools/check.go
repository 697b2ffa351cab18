package pools

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the most characters of a pool's name, which has a column in tables.
const maxName = 64

// CheckName tells what is wrong with the name of a pool: it is shown as it is, in tables
// and in messages.
func CheckName(name string) error {
	unseen := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || strings.TrimSpace(name) != name || utf8.RuneCountInString(name) > maxName ||
		!utf8.ValidString(name) || strings.ContainsFunc(name, unseen) {
		return fmt.Errorf(`name is %q: want 1 to %d printable characters without a space at either end, such as "shop"`, name, maxName)
	}
	return nil
}

// CheckRoot tells what is wrong with the root of a pool, given as was said and as the
// absolute path that it is: the directory is the pool's alone.
func CheckRoot(given, root string) error {
	if filepath.Dir(root) == root {
		return fmt.Errorf("root is %q, which is the whole file system: want a directory for the pool alone, such as ~/.shop", given)
	}
	return nil
}
