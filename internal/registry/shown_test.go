package registry

import "testing"

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		`/home/me/odd "x" $a`: `/home/me/odd "x" $a`,
		"/home/mé":            "/home/mé",
		"/a\nSlot 2: free":    `"/a\nSlot 2: free"`,
		"/a\r\x1b[2J":         `"/a\r\x1b[2J"`,
		"/a\u2028b":           `"/a\u2028b"`,
		"/right\u202eto left": `"/right\u202eto left"`,
		"/not\xffUTF-8":       `"/not\xffUTF-8"`,
	} {
		if got := Shown(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}
