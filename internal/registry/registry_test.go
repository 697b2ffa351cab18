package registry

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parsed(t testing.TB, data []byte) *Registry {
	t.Helper()
	r, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSlots(t *testing.T) {
	r := parsed(t, fixture(t, "v2.json"))
	if r.Version() != 2 {
		t.Errorf("the version is %d", r.Version())
	}
	want := Slot{
		ID:        2,
		Path:      "/srv/pool/sandboxes/slot-2",
		Profile:   "small",
		Workers:   []Count{{"batch", 2}, {"stream", 1}},
		Ports:     []Count{{"web", 8002}, {"store", 5434}},
		ClaimedBy: "/srv/dev/wörk tree",
		ClaimedAt: "2026-02-02T10:11:12.131415+00:00",
		Status:    "running",
	}
	if got, ok := r.Slot(2); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, ok := r.Slot(4); ok {
		t.Error("there is a slot 4")
	}
	var ids []int
	for _, s := range r.Slots() {
		ids = append(ids, s.ID)
	}
	if !slices.Equal(ids, []int{1, 2, 3}) {
		t.Errorf("the slots are %v", ids)
	}
	instances := r.Instances()
	if len(instances) != 2 || instances[1].ID != "team--größe" || !strings.Contains(instances[1].Record, `"slot": 7`) {
		t.Errorf("the instances are %v", instances)
	}
	if !strings.Contains(r.LocalProd(), `"instance_id": "prod"`) {
		t.Errorf("the local production stack is %s", r.LocalProd())
	}
}

func TestRoundTrip(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/*.json") // where the examples of the format are at hand
	files = append(files, "testdata/v1.json", "testdata/v2.json")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := parsed(t, data)
			if r.Version() == 2 {
				if got := string(r.JSON()); got != strings.TrimSuffix(string(data), "\n") {
					t.Errorf("it came back as:\n%s", got)
				}
				return
			}
			var want, got map[string]any
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(r.JSON(), &got); err != nil {
				t.Fatal(err)
			}
			want["version"], want["slots"] = 2.0, map[string]any{}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("it came back as:\n%s", r.JSON())
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"no version", `{"instances":{"a":{"slot":1}}}`, `{
  "version": 2,
  "instances": {
    "a": {
      "slot": 1
    }
  },
  "local_prod": null,
  "slots": {}
}`},
		{"nothing at all", `{}`, `{
  "version": 2,
  "local_prod": null,
  "instances": {},
  "slots": {}
}`},
		{"keys unknown to us", `{"version": 1, "x": [1, 2.50, "\u00e4"], "instances": {}}`, `{
  "version": 2,
  "x": [
    1,
    2.50,
    "\u00e4"
  ],
  "instances": {},
  "local_prod": null,
  "slots": {}
}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := parsed(t, []byte(test.data))
			if r.Version() != 1 {
				t.Errorf("the version is %d", r.Version())
			}
			if got := string(r.JSON()); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestPutSlot(t *testing.T) {
	r := newRegistry()
	for _, s := range []Slot{
		{ID: 10, Path: "/p/slot-10", Profile: "small"},
		{
			ID: 2, Path: "/p/slot-2", Profile: "big", Workers: []Count{{"batch", 3}},
			Ports: []Count{{"web", 8002}, {"über", 1}}, ClaimedBy: "/w/\"x\"\n\U0001F40D\x7f", ClaimedAt: "now", Status: "running",
		},
	} {
		if err := r.PutSlot(s); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Slot(s.ID); got.Profile != s.Profile {
			t.Errorf("slot %d came back as %+v", s.ID, got)
		}
	}
	want := `{
  "version": 2,
  "local_prod": null,
  "instances": {},
  "slots": {
    "2": {
      "slot_id": 2,
      "infrastructure_path": "/p/slot-2",
      "profile": "big",
      "workers": {
        "batch": 3
      },
      "ports": {
        "web": 8002,
        "\u00fcber": 1
      },
      "claimed_by": "/w/\"x\"\n\ud83d\udc0d\u007f",
      "claimed_at": "now",
      "status": "running"
    },
    "10": {
      "slot_id": 10,
      "infrastructure_path": "/p/slot-10",
      "profile": "small",
      "workers": {},
      "ports": {},
      "claimed_by": null,
      "claimed_at": null,
      "status": "stopped"
    }
  }
}`
	if got := string(r.JSON()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	again := parsed(t, r.JSON())
	if got, _ := again.Slot(2); got.ClaimedBy != "/w/\"x\"\n\U0001F40D\x7f" || got.Ports[1].Name != "über" {
		t.Errorf("read again, it is %+v", got)
	}
}

// What is changed in one slot changes nothing else, not even in that slot.
func TestPutSlotChangesOnlyWhatDiffers(t *testing.T) {
	data := fixture(t, "v2.json")
	r := parsed(t, data)
	s, _ := r.Slot(3)
	s.Ports = []Count{{"web", 9003}}
	s.ClaimedBy = "/srv/dev/x"
	if err := r.PutSlot(s); err != nil {
		t.Fatal(err)
	}
	if !r.changed {
		t.Error("the registry doesn't count as changed")
	}
	old := string(data)
	head, tail, _ := strings.Cut(old, `"slot_id": 3`)
	tail = strings.Replace(tail, "\"web\": 8003,\n        \"store\": 5435", `"web": 9003`, 1)
	tail = strings.Replace(tail, `"claimed_by": null`, `"claimed_by": "/srv/dev/x"`, 1)
	if got, want := string(r.JSON()), head+`"slot_id": 3`+tail; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPutSlotOfTheSame(t *testing.T) {
	r := parsed(t, fixture(t, "v2.json"))
	for _, s := range r.Slots() {
		if err := r.PutSlot(s); err != nil {
			t.Fatal(err)
		}
	}
	if r.changed {
		t.Error("the registry counts as changed")
	}
}

// A list that was handed out or in is the caller's.
func TestListsAreNotShared(t *testing.T) {
	r := parsed(t, fixture(t, "v2.json"))
	s, _ := r.Slot(1)
	s.Ports[0].Number = 9
	r.Slots()[0].Workers[0].Number = 9
	if got, _ := r.Slot(1); got.Ports[0].Number != 8001 || got.Workers[0].Number != 1 {
		t.Errorf("slot 1 is now %+v", got)
	}
	if err := r.PutSlot(s); err != nil {
		t.Fatal(err)
	}
	s.Ports[0].Number = 10
	if got, _ := r.Slot(1); got.Ports[0].Number != 9 {
		t.Errorf("slot 1 is now %+v", got)
	}
}

func TestPutSlotRefuses(t *testing.T) {
	for _, test := range []struct {
		slot Slot
		want string
	}{
		{Slot{ID: 0}, "slot number 0 is not in 1 to 65535"},
		{Slot{ID: -1}, "slot number -1 is not in 1 to 65535"},
		{Slot{ID: 1000000}, "slot number 1000000 is not in 1 to 65535"},
		{Slot{ID: 1, Path: "/\xff"}, `slot 1: "/\xff" is not UTF-8, so a JSON file can't hold it`},
		{Slot{ID: 1, Ports: []Count{{"a", 1}, {"a", 2}}}, `slot 1: the name "a" stands twice`},
		{Slot{ID: 1, Workers: slices.Repeat([]Count{{"a", 1}}, 20)}, `slot 1: the name "a" stands twice`},
	} {
		r := newRegistry()
		if err := r.PutSlot(test.slot); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
		if r.changed || len(r.Slots()) != 0 {
			t.Errorf("%s: the registry was changed", test.want)
		}
	}
}

func TestRemoveSlot(t *testing.T) {
	r := parsed(t, fixture(t, "v2.json"))
	if r.RemoveSlot(7) || r.changed {
		t.Error("a slot that isn't there was removed")
	}
	if !r.RemoveSlot(2) || !r.changed {
		t.Error("slot 2 wasn't removed")
	}
	again := parsed(t, r.JSON())
	if _, ok := again.Slot(2); ok || len(again.Slots()) != 2 {
		t.Errorf("left are %v", again.Slots())
	}
	// New slots come to where they belong.
	for _, id := range []int{2, 9} {
		if err := r.PutSlot(Slot{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	var order []int
	for _, e := range parsed(t, r.JSON()).entries {
		order = append(order, e.slot.ID)
	}
	if !slices.Equal(order, []int{1, 2, 3, 9}) {
		t.Errorf("the order in the file is %v", order)
	}
}

// A file in another layout is brought into ours, with all texts as they were.
func TestLayout(t *testing.T) {
	for _, style := range []string{"\t", "    ", ""} {
		data := fixture(t, "v2.json")
		var other strings.Builder
		if style == "" {
			var buf strings.Builder
			enc := json.NewEncoder(&buf)
			if err := enc.Encode(json.RawMessage(data)); err != nil {
				t.Fatal(err)
			}
			other.WriteString(buf.String())
		} else {
			for line := range strings.Lines(string(data)) {
				text := strings.TrimLeft(line, " ")
				other.WriteString(strings.Repeat(style, (len(line)-len(text))/2) + text)
			}
		}
		if got := string(parsed(t, []byte(other.String())).JSON()); got != string(data) {
			t.Errorf("with %q for indentation it came back as:\n%s", style, got)
		}
	}
}

func TestOrderOfTheFileIsKept(t *testing.T) {
	slot := func(id int) string {
		return fmt.Sprintf(`"%d": {"status": "running", "ports": {}, "x": 1, "workers": {}, "profile": "p", `+
			`"claimed_at": null, "claimed_by": null, "infrastructure_path": "/", "slot_id": %d}`, id, id)
	}
	r := parsed(t, []byte(`{"slots": {`+slot(10)+","+slot(2)+`}, "version": 2}`))
	if got := r.Slots(); got[0].ID != 2 || got[1].ID != 10 {
		t.Errorf("the slots are %v", got)
	}
	text := string(r.JSON())
	for _, pair := range [][2]string{{`"slots"`, `"version"`}, {`"10"`, `"2"`}, {`"status"`, `"ports"`}, {`"x"`, `"workers"`}} {
		if strings.Index(text, pair[0]) > strings.Index(text, pair[1]) {
			t.Errorf("%s comes after %s in:\n%s", pair[0], pair[1], text)
		}
	}
}
