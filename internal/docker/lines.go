package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Lines reads what a docker command has printed by a format that makes each line a
// value in JSON: a string, an array or an object. Lines that begin as none of these are
// left out, since the docker command may be a wrapper that prints words of its own.
func Lines[T any](output []byte) ([]T, error) {
	var all []T
	for line := range bytes.Lines(output) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || !bytes.ContainsRune([]byte("\"[{"), rune(line[0])) {
			continue
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return nil, fmt.Errorf("reading what docker printed, %.80q: %w", line, err)
		}
		all = append(all, value)
	}
	return all, nil
}
