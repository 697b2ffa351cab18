package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// `size BYTES FILE` cuts a file off, or fills it up with zeros.
func sizeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: size BYTES FILE")
	}
	bytes, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[1]), bytes))
}

// `tmpfs SIZE DIR` mounts a file system of a size ("64k") till the end of the story.
func tmpfsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs SIZE DIR")
	}
	dir := ts.MkAbs(args[1])
	ts.Check(mountTmpfs(args[0], dir))
	ts.Defer(func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			ts.Logf("unmounting %s: %v", dir, err)
		}
	})
}

func mountTmpfs(size, dir string) error {
	return exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).Run()
}

// canMountTmpfs tells whether this process may mount a file system: as root, and
// outside most containers.
func canMountTmpfs() bool {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return false
	}
	dir, err := os.MkdirTemp("", "kinfra-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if mountTmpfs("64k", dir) != nil {
		return false
	}
	return exec.Command("umount", dir).Run() == nil
}

// `failed REPORT [CHECK…]` tells from the JSON report of an e2e run how its checks
// ended: "4" must have failed, "6-" must have been skipped, and all others must have
// passed. A check goes by the number with which its name begins.
func failedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: failed REPORT [CHECK…]")
	}
	var report struct {
		Nodes []struct{ Name, Status string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &report))
	if len(report.Nodes) == 0 {
		ts.Fatalf("%s has no checks", args[0])
	}
	var got []string
	for _, n := range report.Nodes {
		number, _, _ := strings.Cut(n.Name, " ")
		switch n.Status {
		case "passed":
		case "failed":
			got = append(got, number)
		default:
			got = append(got, number+"-")
		}
	}
	if want := strings.Join(args[1:], " "); strings.Join(got, " ") != want {
		ts.Fatalf("failed, or with a dash skipped, are the checks %q, want %q", strings.Join(got, " "), want)
	}
}
