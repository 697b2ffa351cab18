// Package revision tells which commit of a git repository a directory holds.
//
// It is safe in a repository that somebody else has made: none of the programs that the
// configuration of a repository can name (hooks, fsmonitor, filters, transports) is started,
// and nothing is written.
package revision

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// Revision is what a working tree holds.
type Revision struct {
	Dir    string // the top of the working tree, absolute
	Commit string // in full, in hexadecimal digits
	Clean  *bool  // nothing differs from the commit and nothing is untracked; nil if git did not say so in time
}

// patience is how long git may take for an answer. A tree so large that it takes longer is
// told without whether it is clean.
const patience = 400 * time.Millisecond

// Of is the revision of the working tree that dir, an absolute path, is in; nil if it is in
// none, if nothing is committed yet, or if git does not answer. Without a repository no
// process is started.
func Of(ctx context.Context, w world.World, dir string) *Revision {
	top := topOf(w, dir)
	if top == "" {
		return nil
	}
	commit, ok := git(ctx, w, top, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
	if commit = strings.TrimSpace(commit); !ok || !regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`).MatchString(commit) {
		return nil
	}
	return &Revision{Dir: top, Commit: commit, Clean: clean(ctx, w, top)}
}

// topOf is the directory at or above dir that has an entry .git, "" if none has. Git is run
// there: in a directory below, it could take other files for a repository than those.
func topOf(w world.World, dir string) string {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := w.Disk.Host().Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// clean tells whether nothing differs from the commit; nil if that isn't known.
func clean(ctx context.Context, w world.World, top string) *bool {
	settings, filtered, ok := withoutFilters(ctx, w, top)
	if !ok {
		return nil
	}
	args := slices.Concat(settings, []string{"status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=dirty", "--no-renames"})
	changes, ok := git(ctx, w, top, args...)
	is := changes == ""
	if !ok || filtered && !is { // what a filter has written may only look changed
		return nil
	}
	return &is
}

// withoutFilters are arguments of git that turn off the filters of the configuration, which
// are programs that git status may start; and whether there are any. It is not ok if they
// can't be turned off.
func withoutFilters(ctx context.Context, w world.World, top string) (args []string, filtered, ok bool) {
	out, err := w.Processes.Run(ctx, command(w, top, "config", "-z", "--name-only", "--get-regexp", `^filter\..*\.(clean|process|required)$`))
	if err != nil || out.Code > 1 { // 1: there are none
		return nil, false, false
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out.Stdout), "\x00"), "\x00") {
		switch {
		case name == "":
			continue
		case strings.Contains(name, "="): // which -c takes for the end of the name
			return nil, true, false
		case strings.HasSuffix(name, ".required"):
			name += "=false"
		default:
			name += "="
		}
		args = append(args, "-c", name)
	}
	return args, len(args) > 0, true
}

// git is what git prints; not ok if it fails.
func git(ctx context.Context, w world.World, top string, args ...string) (string, bool) {
	out, err := w.Processes.Run(ctx, command(w, top, args...))
	return string(out.Stdout), err == nil && out.Code == 0
}

func command(w world.World, top string, args ...string) world.Command {
	return world.Command{
		Args: append([]string{"git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false"}, args...),
		Dir:  top,
		Env: append(world.CleanEnv(w),
			"GIT_OPTIONAL_LOCKS=0",                        // the index isn't refreshed
			"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=-", // nothing is fetched
			"GIT_TERMINAL_PROMPT=0"),
		ReadOnly: true, Timeout: patience, Limit: 1 << 20,
	}
}
