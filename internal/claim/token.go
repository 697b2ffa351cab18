package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

const tokenSize = 16 // bytes

// newToken is a token that nobody has had or can guess.
func newToken(w world.World) string {
	var token [tokenSize]byte
	w.Env.Random(token[:])
	return hex.EncodeToString(token[:])
}

// foreignToken stands for the token that a claim of another tool hasn't got. It
// follows from the claim's identity, and so changes with the holder as well.
func foreignToken(s registry.Slot) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q", s.ID, s.ClaimedBy, s.ClaimedAt))
	return hex.EncodeToString(sum[:tokenSize])
}
