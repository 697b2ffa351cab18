package nearest

import "testing"

func TestName(t *testing.T) {
	known := []string{"provision", "slots", "slot", "release", "reap"}
	for misspelt, want := range map[string]string{
		"provison":   "provision",
		"porvision":  "provision",
		"PROVISION":  "provision",
		"slosts":     "slots",
		"slto":       "slot",
		"relase":     "release",
		"deprecated": "",
		"x":          "",
		"":           "",
	} {
		if got, _ := Name(misspelt, known); got != want {
			t.Errorf("Name(%q) = %q, want %q", misspelt, got, want)
		}
	}
}
