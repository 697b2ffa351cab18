package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// changing are the system calls that change a file system, whatever their arguments. A
// question mark lets strace pass over those that a machine's architecture doesn't have.
const changing = "?mkdir,mkdirat,?mknod,mknodat,?rename,?renameat,renameat2,?unlink,unlinkat,?rmdir,?symlink,symlinkat,?link,linkat," +
	"?chmod,fchmod,fchmodat,?fchmodat2,?chown,fchown,?lchown,fchownat,truncate,ftruncate,fallocate,?utime,?utimes,?futimesat,utimensat," +
	"setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,mount,umount2,?creat,copy_file_range,fsync,fdatasync,sync,syncfs"

// deciding are those of which the arguments decide: how a file is opened, and where
// bytes are written.
const deciding = "?open,openat,?openat2,write,pwrite64,writev,pwritev,?pwritev2,sendfile,splice"

// straced runs a command and gives the lines of its trace that change a file system.
func straced(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{"-f", "-y", "-qq", "-o", log, "-e", "trace=" + changing + "," + deciding, "-e", "signal=none"}
	traced := exec.Command("strace", append(args, cmd.Args...)...)
	traced.Env, traced.Dir = cmd.Env, cmd.Dir
	if out, err := traced.CombinedOutput(); err != nil {
		t.Fatalf("strace %s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	trace, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(trace)), "\n")
	if !strings.Contains(string(trace), "openat(") {
		t.Fatalf("the trace shows no file opened, so it can't be right:\n%s", trace)
	}
	var changes []string
	for _, line := range lines {
		if changesFiles(line) {
			changes = append(changes, line)
		}
	}
	return changes
}

var (
	tracedCall  = regexp.MustCompile(`^\d+ +(\w+)\((.*)`)
	tracedOpen  = regexp.MustCompile(`O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)`)
	tracedWrite = regexp.MustCompile(`^(\d+)<(.*?)>`)
)

// changesFiles tells whether a line of a trace is a call that changes a file system, or
// tries to.
func changesFiles(line string) bool {
	call := tracedCall.FindStringSubmatch(line)
	if call == nil {
		return false // the end of a call that began on another line, or of a process
	}
	name, args := call[1], call[2]
	switch name {
	case "open", "openat", "openat2":
		return tracedOpen.MatchString(args) && !strings.Contains(args, `"/dev/null"`)
	case "write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "splice":
		to := tracedWrite.FindStringSubmatch(args)
		return to == nil || to[1] != "1" && to[1] != "2" && strings.HasPrefix(to[2], "/")
	}
	return true
}

// A dry run changes nothing: seen from outside, by the system calls of the process and
// its children.
func TestDryRunIssuesNoWrites(t *testing.T) {
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		if os.Getenv("KINFRA_DEMAND_STRACE") == "1" {
			t.Fatalf("strace doesn't work, though KINFRA_DEMAND_STRACE is 1: %v", err)
		}
		t.Skipf("strace doesn't work here: %v", err)
	}
	scripts := otherPorts(t)
	empty, pool, damaged := newMachine(t), newMachine(t), newMachine(t)
	for _, m := range []machine{pool, damaged} {
		m.run(t, "sandbox", "provision")
		m.run(t, "sandbox", "deprovision", "--yes", "--slot", "6")
	}
	for _, name := range []string{"slot-1/.env.sandbox", "slot-2/.env", "slot-3"} {
		if err := os.RemoveAll(filepath.Join(damaged.pool(), "sandboxes", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(damaged.pool(), "sandboxes", ".slot-6.tmp-0123456789abcdef"), 0o700); err != nil {
		t.Fatal(err)
	}

	// That a run which does change something is seen shows that the test can fail.
	if got := straced(t, empty.kinfra(t, "--root", filepath.Join(empty.home, "control"), "sandbox", "provision")); len(got) < 20 {
		t.Errorf("of a real run, only these calls are taken for changes: %q", got)
	}
	for _, test := range []struct {
		name string
		on   machine
		args []string
	}{
		{"create", empty, []string{"sandbox", "provision"}},
		{"repair", damaged, []string{"sandbox", "provision"}},
		{"refresh", pool, []string{"sandbox", "provision", "--refresh", "--scripts", scripts, "--slot", "1,2,3,4,5"}},
		{"deprovision", pool, []string{"sandbox", "deprovision", "--yes"}},
		{"restore", pool, []string{"registry", "restore", "1"}},
		{"list", pool, []string{"sandbox", "slots"}},
		{"validate", empty, []string{"e2e"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, change := range straced(t, test.on.kinfra(t, append(test.args, "--dry-run")...)) {
				t.Error(change)
			}
		})
	}
}

func TestChangesFiles(t *testing.T) {
	for line, want := range map[string]bool{
		`7 openat(AT_FDCWD</>, "/a", O_RDONLY|O_CLOEXEC) = 3</a>`:         false,
		`7 openat(AT_FDCWD</>, "/a", O_WRONLY|O_CREAT, 0600) = 3</a>`:     true,
		`7 openat(AT_FDCWD</>, "/a", O_RDWR) = -1 EACCES (Permission den`: true,
		`7 openat(AT_FDCWD</>, "/dev/null", O_RDWR|O_CLOEXEC) = 3</dev/n`: false,
		`7 write(1</tmp/out>, "x", 1) = 1`:                                false,
		`7 write(3</a>, "x", 1) = 1`:                                      true,
		`7 write(4<anon_inode:[eventfd]>, "\1", 8) = 8`:                   false,
		`7 write(5<pipe:[1]>, "x", 1 <unfinished ...>`:                    false,
		`7 mkdirat(AT_FDCWD</>, "/a", 0700 <unfinished ...>`:              true,
		`7 unlink("/a") = -1 ENOENT (No such file or directory)`:          true,
		`7 <... mkdirat resumed>) = 0`:                                    false,
		`7 +++ exited with 0 +++`:                                         false,
	} {
		if got := changesFiles(line); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
