package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/report"
)

// choice is a flag that takes one of a few words, the first being the default.
type choice struct {
	value *string
	words []string
}

func newChoice(value *string, words ...string) *choice {
	*value = words[0]
	return &choice{value, words}
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Type() string { return "word" }

func (c *choice) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return fmt.Errorf("want %s or %s", strings.Join(c.words[:len(c.words)-1], ", "), c.words[len(c.words)-1])
	}
	*c.value = text
	return nil
}

// toggle is a flag that stands without a value.
type toggle bool

func (t *toggle) String() string { return fmt.Sprint(bool(*t)) }
func (t *toggle) Type() string   { return "bool" }

func (t *toggle) Set(text string) error {
	if text != "true" && text != "false" {
		return errors.New("want true or false")
	}
	*t = text == "true"
	return nil
}

// directory is a flag that takes the path of a directory.
type directory string

func (d *directory) String() string { return string(*d) }
func (d *directory) Type() string   { return "directory" }

// Set refuses the empty path, which is what an unset variable of a shell leaves.
func (d *directory) Set(text string) error {
	if text == "" {
		return errors.New("want the path of a directory")
	}
	*d = directory(text)
	return nil
}

// limit is a flag that takes a duration; none is no limit.
type limit time.Duration

func (l *limit) Type() string { return "duration" }

func (l *limit) String() string {
	if *l == 0 {
		return ""
	}
	return time.Duration(*l).String()
}

func (l *limit) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New(`want a duration above 0, such as "90s" or "1h30m"`)
	}
	*l = limit(d)
	return nil
}

// reportTo is a report that is wanted.
type reportTo struct{ kind, file string }

// reportKinds are the forms of a report, by the name that --report gives them.
func reportKinds() map[string]func(*report.Run) ([]byte, error) {
	return map[string]func(*report.Run) ([]byte, error){"junit": report.JUnit, "json": report.JSON, "html": report.HTML}
}

// reportList is a flag that names reports. It can be given several times.
type reportList []reportTo

func (r *reportList) Type() string { return "KIND=FILE" }

func (r *reportList) String() string {
	all := make([]string, len(*r))
	for i, one := range *r {
		all[i] = one.kind + "=" + one.file
	}
	return strings.Join(all, ",")
}

// Set refuses what can't be written before anything is run.
func (r *reportList) Set(text string) error {
	kind, file, _ := strings.Cut(text, "=")
	if reportKinds()[kind] == nil || file == "" {
		kinds := slices.Sorted(maps.Keys(reportKinds()))
		return fmt.Errorf("want %s=FILE or %s=FILE", strings.Join(kinds[:len(kinds)-1], "=FILE, "), kinds[len(kinds)-1])
	}
	*r = append(*r, reportTo{kind, file})
	return nil
}
