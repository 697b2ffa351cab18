package compose

import (
	"maps"
	"testing"
)

func TestReplicas(t *testing.T) {
	file, err := Parse([]byte(`
services:
  plain: {image: a}
  fixed: {image: a, deploy: {replicas: 3}}
  scaled: {image: a, scale: 2}
  variable: {image: a, deploy: {replicas: "${WORKERS:-1}"}}
  heir: {extends: {service: fixed}}
  off: {image: a, profiles: [debug], deploy: {replicas: 9}}
  none: {image: a, deploy: {replicas: 0}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := file.Replicas(map[string]string{"WORKERS": "4"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"plain": 1, "fixed": 3, "scaled": 2, "variable": 4, "heir": 3, "none": 0}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := file.Replicas(map[string]string{"WORKERS": "many"}); err == nil {
		t.Error("replicas that are no number pass")
	}
}
