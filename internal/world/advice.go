package world

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
)

// advised is an error of the system with what its reader can do. Whoever knows better
// gives a hint of their own, which stands further out and so comes first.
type advised struct {
	err  error
	path string // what the operation was at
}

// advise attaches what can be done about an error at a path, where that follows from the
// error alone.
func advise(err error, path string) error {
	if a := (&advised{err, path}); a.Hint() != "" {
		return a
	}
	return err
}

func (a *advised) Error() string { return a.err.Error() }
func (a *advised) Unwrap() error { return a.err }

// Hint says what to do next.
func (a *advised) Hint() string {
	switch {
	case errors.Is(a.err, fs.ErrPermission):
		return "see who may read and write there: ls -ld " + places(a.path) + "; take it over with chown, or allow it with chmod"
	case errors.Is(a.err, syscall.EROFS):
		return "nothing can be written to the file system of " + directory(a.path) + ": choose another directory"
	case errors.Is(a.err, syscall.ENOSPC), errors.Is(a.err, syscall.EDQUOT):
		return "make room, or choose another directory; df -h " + ShellWord(directory(a.path)) + " shows what there is"
	case errors.Is(a.err, syscall.EMFILE):
		return "this process may not open so many files: raise the limit (ulimit -n shows it), and try again"
	case errors.Is(a.err, syscall.ENFILE):
		return "too many files are open on this machine: end what has them open, and try again"
	case errors.Is(a.err, syscall.EIO):
		return "the disk below " + ShellWord(directory(a.path)) + " may be failing: see the log of the system (dmesg)"
	case errors.Is(a.err, syscall.ENOTDIR):
		return "choose another path, or move away what stands where a directory is needed"
	}
	return ""
}

// directory is the one that an error at a path is about. Of one in something temporary
// it is the directory around that, of which something remains.
func directory(path string) string {
	dir := filepath.Dir(path)
	for up := path; up != "/" && up != "."; up = filepath.Dir(up) {
		if isTempName(filepath.Base(up)) {
			dir = filepath.Dir(up)
		}
	}
	return dir
}

// places are where to look, as arguments of ls: the directory, and what is in it unless
// that is temporary.
func places(path string) string {
	dir := directory(path)
	if dir != filepath.Dir(path) || isTempName(filepath.Base(path)) {
		return ShellWord(dir)
	}
	return ShellWord(dir) + " " + ShellWord(path)
}

// ShellWord is a text as a shell takes it for one word: quoted where it must be.
func ShellWord(text string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+@%:,=", r)
	}
	if text != "" && text[0] != '=' && // which zsh would take for the path of a program
		!strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// ShellLine is a command line as a shell takes it for these words.
func ShellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = ShellWord(word)
	}
	return strings.Join(quoted, " ")
}
