package layer

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
)

// Compiled is the compiled form of the file that its layer brings along; nil if there
// is none, or one that was made from another text.
func (f File) Compiled() []byte {
	s, ok := f.Layer.source.(embedded)
	if !ok || s.compiled == nil {
		return nil
	}
	sealed, err := fs.ReadFile(s.compiled, CompiledName(f.Name))
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(f.Data)
	program, ok := bytes.CutPrefix(sealed, sum[:])
	if !ok {
		return nil
	}
	return program
}

// CompiledName is the name of the compiled form of a file, beside its own.
func CompiledName(name string) string { return name + "c" }

// Seal is a compiled form as a layer keeps it: behind the hash of the text that it was
// made from, so that it isn't used for another one.
func Seal(text, program []byte) []byte {
	sum := sha256.Sum256(text)
	return append(sum[:], program...)
}
