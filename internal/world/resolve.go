package world

import (
	"path/filepath"
	"slices"
	"strings"
)

// Resolve replaces the symbolic links in an absolute path. What isn't there, or can't
// be read, stays as it is: the directory that is asked for may be long gone.
func Resolve(files Files, path string) string {
	const most = 40 // links, as many as Linux follows
	rest := strings.Split(filepath.Clean(path), "/")
	resolved := "/"
	for links := 0; len(rest) > 0 && links < most; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(resolved, name)
		target, err := files.ReadLink(next)
		if name == "" || err != nil {
			resolved = next
			continue
		}
		links++
		rest = slices.Concat(strings.Split(target, "/"), rest)
		if filepath.IsAbs(target) {
			resolved = "/"
		}
	}
	return filepath.Join(append([]string{resolved}, rest...)...)
}
