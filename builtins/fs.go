package builtins

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// mostRead is the most bytes that a script reads of a file.
const mostRead = 64 << 20

// fsModule is files. In a dry run, writes are seen by later reads and by nobody else.
func fsModule() table.Module {
	path := table.Param{Name: "path", Type: table.String(), Help: "its path; a relative one is below the working directory"}
	const info = "`struct(path, kind, size, mode, mtime, target)`: kind is file, dir, link or other; size is in bytes, mode like \"0644\", mtime in nanoseconds since 1970, target where a link points (or \"\")"
	return table.Module{
		Name: "fs", Doc: "Files. Parts of them never show: a write replaces the file as a whole.",
		Builtins: []table.Builtin{
			{
				Name: "fs.read", Reads: true, Doc: "Gives the content of a file.", Params: []table.Param{path}, Run: fsRead,
				Result: "a string", Errors: "A file that isn't there, isn't UTF-8, or has more than 64 MiB.",
				Example: `fs.read("notes.txt")  # -> "first line\nsecond line\n"
fs.read("missing.txt")  # fails: no such file`,
			},
			{
				Name: "fs.write", Changes: true, Doc: "Writes a file, durably; its directory must be there. A file that is there keeps its permissions. A link at its path is replaced, not followed.", Run: fsWrite,
				Params: []table.Param{
					path, {Name: "content", Type: table.String(), Help: "what is to be in it"},
					{Name: "private", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "only the user may read it"},
				},
				Example: `fs.write("list.txt", "one\n")
fs.write("token.txt", "abc", private = True)
fs.stat("token.txt").mode  # -> "0600"`,
			},
			{
				Name: "fs.exists", Reads: true, Doc: "Tells whether there is something at a path; a link counts, wherever it points.",
				Params: []table.Param{path}, Result: "a bool", Run: fsExists,
				Example: `fs.exists("notes.txt")  # -> True
fs.exists("missing.txt")  # -> False`,
			},
			{
				Name: "fs.stat", Reads: true, Doc: "Describes what is at a path, without following a link.",
				Params: []table.Param{path}, Result: info + "; None if nothing is there", Run: fsStat,
				Example: `fs.stat("notes.txt").size  # -> 23
fs.stat("missing.txt")  # -> None`,
			},
			{
				Name: "fs.list", Reads: true, Doc: "Gives the names in a directory, sorted.", Params: []table.Param{path},
				Result: "a list of strings", Errors: "A directory that isn't there.", Run: fsList,
				Example: `fs.list(".")  # -> [".git", "notes.txt"]`,
			},
			{
				Name: "fs.walk", Reads: true, Doc: "Describes all that is below a directory, sorted by path, without following links.", Run: fsWalk,
				Params: []table.Param{path}, Result: "a list of " + info + ", paths relative to the directory; empty if it isn't there",
				Example: `[f.path for f in fs.walk(".") if f.kind == "file"]
# -> [".git", "notes.txt"]`,
			},
			{
				Name: "fs.mkdir", Changes: true, Doc: "Makes a directory and those above it, for the user alone.", Params: []table.Param{path}, Run: fsMkdir,
				Example: `fs.mkdir("out/logs")
fs.stat("out/logs").kind  # -> "dir"`,
			},
			{
				Name: "fs.remove", Changes: true, Doc: "Removes a file, a link, or a directory with all that is in it. What isn't there is no error.",
				Params: []table.Param{path}, Run: fsRemove,
				Example: `fs.remove("notes.txt")
fs.remove("notes.txt")  # it isn't there any more: no error`,
			},
			{
				Name: "fs.temp_dir", Changes: true, Doc: "Makes a new directory for temporary files, for the user alone. Nothing removes it: do so with on_exit.",
				Params: []table.Param{{Name: "prefix", Type: table.String(), Help: "how its name begins"}},
				Result: "its path", Run: fsTempDir,
				Example: `dir = fs.temp_dir("build-")
on_exit(lambda: fs.remove(dir))
fs.list(dir)  # -> []`,
			},
		},
	}
}

// pathOf is a path argument, absolute.
func pathOf(c *table.Call, name string) (string, error) {
	path, err := absolute(engine.World(c.Thread), c.String(name))
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Builtin.Name, err)
	}
	return path, nil
}

// absolute is a path as one that begins with a slash: a relative one is below the
// working directory.
func absolute(w world.World, path string) (string, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return "", &table.ArgumentError{Err: fmt.Errorf("%q is not a path", path)}
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	work, err := w.Env.WorkDir()
	if err != nil {
		return "", fmt.Errorf("%q is relative to the working directory: %w", path, err)
	}
	return filepath.Join(work, path), nil
}

// withPath calls f with the files of the machine and the absolute path.
func withPath(c *table.Call, f func(world.Files, string) (starlark.Value, error)) (starlark.Value, error) {
	path, err := pathOf(c, "path")
	if err != nil {
		return nil, err
	}
	v, err := f(engine.World(c.Thread).Disk.Host(), path)
	if errors.Is(err, engine.ErrLoading) {
		err = fmt.Errorf("%s: %w", path, engine.ErrLoading) // how far it came doesn't matter
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Builtin.Name, err)
	}
	return v, nil
}

func fsRead(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		data, err := files.ReadFile(path, mostRead)
		if err == nil && !utf8.Valid(data) {
			err = fmt.Errorf("%s is not UTF-8", path)
		}
		return starlark.String(data), err
	})
}

func fsWrite(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		if info, err := files.Lstat(path); err == nil && !info.Mode.IsRegular() && info.Mode.Type() != fs.ModeSymlink {
			return nil, fmt.Errorf("%s is there and no file: it would be replaced: %w", path, world.ErrNotRegular)
		}
		w, content := engine.World(c.Thread), []byte(c.String("content"))
		if c.Bool("private") {
			return starlark.None, world.Replace(files, w, path, content, 0o600)
		}
		return starlark.None, world.Rewrite(files, w, path, content, 0o644)
	})
}

func fsExists(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		_, err := files.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return starlark.False, nil
		}
		return starlark.True, err
	})
}

func fsStat(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		info, err := files.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, err
		}
		return infoValue(files, path, path, info)
	})
}

func infoValue(files world.Files, path, shown string, info world.Info) (starlark.Value, error) {
	kind, target := "other", ""
	switch info.Mode.Type() {
	case 0:
		kind = "file"
	case fs.ModeDir:
		kind = "dir"
	case fs.ModeSymlink:
		kind = "link"
		var err error
		if target, err = files.ReadLink(path); err != nil {
			return nil, err
		}
	}
	return engine.Struct("path", shown, "kind", kind, "size", starlark.MakeInt64(info.Size),
		"mode", fmt.Sprintf("%04o", info.Mode.Perm()), "mtime", starlark.MakeInt64(info.ModTime.UnixNano()), "target", target), nil
}

func fsList(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		entries, err := files.ReadDir(path)
		return engine.List(entries, func(e world.Info) starlark.Value { return starlark.String(e.Name) }), err
	})
}

func fsWalk(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, root string) (starlark.Value, error) {
		ctx := engine.Context(c.Thread) // a tree may be large
		var all []starlark.Value
		var walk func(dir, shown string) error
		walk = func(dir, shown string) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			entries, err := files.ReadDir(dir)
			if shown == "" && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			for _, e := range entries {
				path, name := filepath.Join(dir, e.Name), filepath.Join(shown, e.Name)
				v, err := infoValue(files, path, name, e)
				if err != nil {
					return err
				}
				all = append(all, v)
				if e.Mode.IsDir() {
					if err := walk(path, name); err != nil {
						return err
					}
				}
			}
			return err
		}
		err := walk(root, "")
		return starlark.NewList(all), err
	})
}

func fsMkdir(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		return starlark.None, files.MkdirAll(path, 0o700)
	})
}

func fsRemove(c *table.Call) (starlark.Value, error) {
	return withPath(c, func(files world.Files, path string) (starlark.Value, error) {
		return starlark.None, files.RemoveAll(path)
	})
}

func fsTempDir(c *table.Call) (starlark.Value, error) {
	w := engine.World(c.Thread)
	prefix := c.String("prefix")
	if prefix == "" || strings.ContainsAny(prefix, "/\x00") {
		return nil, &table.ArgumentError{Err: fmt.Errorf("fs.temp_dir: the prefix %q is not the beginning of a name", prefix)}
	}
	parent, _ := w.Env.Getenv("TMPDIR")
	parent, err := absolute(w, cmp.Or(parent, "/tmp"))
	if err != nil {
		return nil, fmt.Errorf("fs.temp_dir: TMPDIR: %w", err)
	}
	var random [8]byte
	w.Env.Random(random[:])
	path := filepath.Join(parent, prefix+hex.EncodeToString(random[:]))
	if err := w.Disk.Host().Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("fs.temp_dir: %w", err)
	}
	return starlark.String(path), nil
}
