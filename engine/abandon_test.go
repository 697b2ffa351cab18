package engine

import "testing"

// A run is given up only where it computes. What writes to somebody who doesn't read ends, once
// they do, and then the undos are called.
func TestIsOfLanguage(t *testing.T) {
	for name, want := range map[string]bool{
		"str": true, "sorted": true, "join": true, "json.encode": true, "struct": true,
		"print": false, "proc.run": false, "fs.write": false, "step": false,
	} {
		if got := isOfLanguage(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
