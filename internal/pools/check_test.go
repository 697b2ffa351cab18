package pools

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"shop", "The Shop, 2nd", "läden", strings.Repeat("ä", 64)} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", " ", " shop", "a\nb", "a\tb", "\x1b[31mred", "a\u202eb", "\xff", strings.Repeat("x", 65)} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestCheckRoot(t *testing.T) {
	if err := CheckRoot("~/.shop", "/home/user/.shop"); err != nil {
		t.Error(err)
	}
	if CheckRoot("~/../..", "/") == nil {
		t.Error("the whole file system is taken")
	}
}
