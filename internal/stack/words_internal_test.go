package stack

import (
	"strings"
	"testing"
)

func TestServicesInWords(t *testing.T) {
	for words, want := range map[string]string{
		"":                         "",
		"web":                      "web",
		"web db":                   "web db",
		"-f web":                   "web",
		"-ft web --tail 5 db":      "web db",
		"--tail=5 web":             "web",
		"-n 5 web":                 "web",
		"-n5 web":                  "web",
		"-fn 5 web":                "web",
		"-n=5 web":                 "web",
		"-f=false web":             "web",
		"web --since 2m -- -odd x": "web -odd x",
		"--index 1 web -n":         "web",
		"--":                       "",
		"-x web":                   "?",
		"--profile x web":          "?",
		"--help":                   "?",
	} {
		services, ok := ServicesOfLogs(strings.Fields(words))
		got := strings.Join(services, " ")
		if !ok {
			got = "?"
		}
		if got != want {
			t.Errorf("logs %s: got %q, want %q", words, got, want)
		}
	}
	for words, want := range map[string]string{
		"web ls -l":                   "web",
		"-T -e A=b --user=me web env": "web",
		"-e A=b -u me -w / web env":   "web",
		"-it web sh":                  "web",
		"-- web ls":                   "web",
		"-T":                          "",
		"--unheard web ls":            "?",
	} {
		got, ok := ServiceOfExec(strings.Fields(words))
		if !ok {
			got = "?"
		}
		if got != want {
			t.Errorf("exec %s: got %q, want %q", words, got, want)
		}
	}
}
