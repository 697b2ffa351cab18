package main

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]string{
		"512MiB": "512MiB", "512mb": "512MiB", "512m": "512MiB", "2GiB": "2GiB", "1.5GiB": "1536MiB", "4g": "4GiB",
		"65536k": "64MiB", "67108864": "64MiB", "67108864b": "64MiB", "67108865": "67108865",
	} {
		var s size
		if err := s.Set(text); err != nil || s.String() != want {
			t.Errorf("%q is %s (%v), want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "5", "63MiB", "-1GiB", "GiB", "1TiB", "1 GiB", "1GiBB", "1ib", "NaN", "nanGiB", "1e300GiB", "0x10GiB0"} {
		s := memoryDefault
		if err := s.Set(text); err == nil || s != memoryDefault {
			t.Errorf("%q is %s, want an error", text, s)
		}
	}
}
