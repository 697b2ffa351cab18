package worldtest

import (
	"context"
	"io/fs"

	"github.com/ktrdr/kinfra/internal/world"
)

// Below are the files of a Host below a directory, by names relative to that, which
// nothing keeps inside of it.
func Below(host world.Files, dir string) world.Files { return below{host, dir} }

type below struct {
	files world.Files
	dir   string
}

func (b below) path(name string) string {
	return b.dir + "/" + name
}

func (b below) ReadFile(name string, limit int64) ([]byte, error) {
	return b.files.ReadFile(b.path(name), limit)
}

func (b below) Lstat(name string) (world.Info, error) {
	return b.files.Lstat(b.path(name))
}

func (b below) ReadDir(name string) ([]world.Info, error) {
	return b.files.ReadDir(b.path(name))
}

func (b below) ReadLink(name string) (string, error) {
	return b.files.ReadLink(b.path(name))
}

func (b below) CreateFile(name string, data []byte, mode fs.FileMode) error {
	return b.files.CreateFile(b.path(name), data, mode)
}

func (b below) Append(name string) (world.Appender, error) {
	return b.files.Append(b.path(name))
}

func (b below) Mkdir(name string, mode fs.FileMode) error {
	return b.files.Mkdir(b.path(name), mode)
}

func (b below) MkdirAll(name string, mode fs.FileMode) error {
	return b.files.MkdirAll(b.path(name), mode)
}

func (b below) Symlink(target, name string) error {
	return b.files.Symlink(target, b.path(name))
}

func (b below) Rename(oldName, newName string) error {
	return b.files.Rename(b.path(oldName), b.path(newName))
}

func (b below) Remove(name string) error {
	return b.files.Remove(b.path(name))
}

func (b below) RemoveAll(name string) error {
	return b.files.RemoveAll(b.path(name))
}

func (b below) Sync(name string) error {
	return b.files.Sync(b.path(name))
}

func (b below) Lock(ctx context.Context, name string) (func(), error) {
	return b.files.Lock(ctx, b.path(name))
}

func (b below) TryLock(name string) (func(), error) {
	return b.files.TryLock(b.path(name))
}
