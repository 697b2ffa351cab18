package compose

import (
	"maps"
	"testing"
)

func TestRestarted(t *testing.T) {
	file, err := Parse([]byte(`
services:
  plain: {image: a}
  never: {image: a, restart: "no"}
  after-errors: {image: a, restart: "on-failure:3"}
  always: {image: a, restart: always}
  unless-stopped: {image: a, restart: unless-stopped}
  variable: {image: a, restart: "${POLICY}"}
  heir: {extends: {service: always}}
  deployed: {image: a, deploy: {restart_policy: {condition: any}}}
  deployed-otherwise: {image: a, restart: always, deploy: {restart_policy: {condition: on-failure}}}
  deployed-heir: {extends: {service: deployed-otherwise}, restart: always}
`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.Resolve(map[string]string{"POLICY": "always"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Restarted()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"always": true, "unless-stopped": true, "variable": true, "heir": true, "deployed": true}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
