package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// `snapshot NAME DIR` notes all that is below a directory: kinds, modes, contents and
// times of change.
func snapshotCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: snapshot NAME DIR")
	}
	ts.Setenv("SNAPSHOT_"+args[0], treeOf(ts, ts.MkAbs(args[1])))
}

// `same NAME DIR` fails unless the directory is as it was when NAME was noted; with !,
// unless it differs.
func sameCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] same NAME DIR")
	}
	before := strings.Split(ts.Getenv("SNAPSHOT_"+args[0]), "\n")
	after := strings.Split(treeOf(ts, ts.MkAbs(args[1])), "\n")
	changes := missing("- ", before, after) + missing("+ ", after, before)
	if neg != (changes != "") {
		ts.Fatalf("what is below %s changed (want that: %t):\n%s", args[1], neg, changes)
	}
}

// missing is the lines of a that b lacks, marked.
func missing(mark string, a, b []string) string {
	there := map[string]bool{}
	for _, line := range b {
		there[line] = true
	}
	text := ""
	for _, line := range a {
		if !there[line] {
			text += mark + line + "\n"
		}
	}
	return text
}

func treeOf(ts *testscript.TestScript, dir string) string {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			lines = append(lines, "absent")
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch d.Type() {
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%x", sha256.Sum256(data))
		case fs.ModeSymlink:
			content, _ = os.Readlink(path)
		}
		rel, _ := filepath.Rel(dir, path)
		lines = append(lines, fmt.Sprintf("%s %s %d %s", rel, info.Mode(), info.ModTime().UnixNano(), content))
		return nil
	})
	ts.Check(err)
	return strings.Join(lines, "\n")
}
