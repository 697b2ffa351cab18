package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	mostBytes = 64 << 10
	opTimeout = 10 * time.Second
)

// Conceal is told the value of a secret before anybody else gets it, to keep it from showing
// from then on. It may refuse it. It must not keep either.
type Conceal func(ref Ref, value string) error

// Resolve reads the secret. It has at least six bytes, blanks around it not counted, since
// shorter values can't be kept from showing, and at most 64 KiB, is UTF-8 and
// has no NUL in it, as a variable of a container must be; it may have several lines.
// Of a file and of what op prints, one newline at the end is cut.
//
// A file must be a regular one, be the user's own, and be closed to all others (as
// ssh has it for keys). The command op gets ten seconds; what 1Password needs to
// sign in (OP_SERVICE_ACCOUNT_TOKEN and others) reaches it from the caller's
// environment.
//
// The error is an ErrUnavailable, or what conceal fails with. A dry run reads no secrets: in a
// planned world it is a world.ErrPlanned.
func (r Ref) Resolve(ctx context.Context, w world.World, conceal Conceal) (Value, error) {
	if w.Planned() {
		return Value{}, fmt.Errorf("the secret %s is %w", r, world.ErrPlanned)
	}
	data, err := r.read(ctx, w)
	if err == nil {
		err = check(data)
	}
	if err != nil {
		return Value{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, r, err)
	}
	text := string(data)
	if err := conceal(r, text); err != nil {
		return Value{}, err
	}
	return Value{&text}, nil
}

func (r Ref) read(ctx context.Context, w world.World) ([]byte, error) {
	switch r.scheme {
	case envScheme:
		return readVariable(w, r.place)
	case fileScheme:
		data, err := readFile(w, r.place)
		return cutNewline(data), err
	case opScheme:
		data, err := readOnePassword(ctx, w, r)
		return cutNewline(data), err
	}
	return nil, errors.New("it leads nowhere")
}

// check refuses what can't be the value of a variable, or can't be meant to be one.
func check(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("it is empty")
	case len(bytes.TrimSpace(data)) < mask.Least:
		return hint.Wrap(fmt.Errorf("it is shorter than %d bytes, and could not be kept from showing", mask.Least), "choose a longer one; what need not be hidden can be given as text: env.get reads a variable")
	case len(data) > mostBytes:
		return fmt.Errorf("it is %w, over %d bytes", world.ErrTooLarge, mostBytes)
	case bytes.IndexByte(data, 0) >= 0:
		return errors.New("it has a NUL byte in it")
	case !utf8.Valid(data):
		return errors.New("it is not UTF-8")
	}
	return nil
}

func cutNewline(data []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
}

func readVariable(w world.World, name string) ([]byte, error) {
	value, _ := w.Env.Getenv(name)
	if value == "" {
		return nil, hint.Wrap(fmt.Errorf("the variable %s is not set, or empty", name), "set %s in the environment", name)
	}
	return []byte(value), nil
}

func readFile(w world.World, place string) ([]byte, error) {
	path := place
	if below, ok := strings.CutPrefix(place, "~"); ok {
		home, _ := w.Env.Getenv("HOME")
		if !filepath.IsAbs(home) {
			return nil, fmt.Errorf("HOME is %q: want an absolute path", home)
		}
		path = filepath.Join(home, below)
	}
	files, name := w.Disk.Root(filepath.Dir(path)), filepath.Base(path)
	before, err := files.Lstat(name)
	if err == nil {
		err = checkFile(before, w.Env.UserID(), path)
	}
	if err != nil {
		return nil, err
	}
	data, err := files.ReadFile(name, mostBytes)
	if err != nil {
		return nil, err
	}
	// What was looked at and what was read need not be the same file, nor a whole one.
	if after, err := files.Lstat(name); err != nil || after != before {
		return nil, fmt.Errorf("%s was changed while it was read", path)
	}
	return data, nil
}

// checkFile refuses a file that others could have read, or written.
func checkFile(info world.Info, user int, path string) error {
	switch {
	case info.Mode.Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a link: name the file itself", path)
	case !info.Mode.IsRegular():
		return fmt.Errorf("%s: %w", path, world.ErrNotRegular)
	case info.UserID != user:
		return fmt.Errorf("%s belongs to user %d: want a file of your own, user %d", path, info.UserID, user)
	case info.Mode.Perm()&0o077 != 0:
		return hint.Wrap(fmt.Errorf("%s has the mode %04o: want one that is closed to others", path, info.Mode.Perm()),
			"run chmod 600 %q, and change the secret if others may have read it", path)
	}
	return nil
}

// readOnePassword asks 1Password's command. What that prints when it fails is not
// shown, since nobody can tell what is in it.
func readOnePassword(ctx context.Context, w world.World, r Ref) ([]byte, error) {
	out, err := w.Processes.Run(ctx, world.Command{
		Args: []string{"op", "read", r.String()}, Dir: "/", Env: world.CleanEnv(w, opVariables(w)...),
		ReadOnly: true, Timeout: opTimeout, Limit: mostBytes + 1,
	})
	switch {
	case err == nil && out.Code == 0:
		return out.Stdout, nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, hint.Wrap(err, "install 1Password's command op: https://developer.1password.com/docs/cli")
	case errors.Is(err, world.ErrTimeout):
		return nil, hint.Wrap(err, "unlock 1Password, or sign in: op signin")
	case err != nil:
		return nil, err
	}
	// A reference has no character that means anything between double quotes.
	return nil, hint.Wrap(fmt.Errorf("op read ended with code %d", out.Code), `see why: op read "%s" > /dev/null`, r)
}

// opVariables are the names of the variables by which op is told who asks.
func opVariables(w world.World) []string {
	var names []string
	for _, entry := range w.Env.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "OP_") {
			names = append(names, name)
		}
	}
	return names
}
