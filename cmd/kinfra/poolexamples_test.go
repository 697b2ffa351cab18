package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/scripts"
)

// startsExample starts a slot of an example's pool and looks at what Compose is given.
const startsExample = `
load("pool.star", "pool")
load("@kinfra//pool.star", shipped = "pool")

TREE = "/home/user/tree"

def starts():
    slot.ensure(pool.specs())
    fake.file(TREE + "/ktrdr/__init__.py", "")
    fake.file(TREE + "/.git", "gitdir: elsewhere\n")
    fake.cd(TREE)
    fake.env("KTRDR_BACKEND_IMAGE", "mine:dev")
    taken = claim.take(TREE)
    fake.kinfra(["sandbox", "up"])
    up = [p for p in fake.processes() if p.args[:2] == ["docker", "compose"] and "up" in p.args]
    override = path.join(pool.root, "sandboxes", "slot-%d" % taken.slot, "docker-compose.override.yml")
    expect.contains(up[0].args, override)
    mounted = yaml.decode(fs.read(override))["services"]
    for service, paths in shipped.mounts.items():
        for source, target in paths.items():
            seen = [(m["source"], m["target"]) for m in mounted[service]["volumes"]]
            expect.contains(seen, (TREE + "/" + source, target), what = "what %s sees of the worktree" % service)
    for name in shipped.pass_env:
        expect.contains(pool.pass_env, name)

starts()
`

// TestPoolExamples: a pool that a page makes of the shipped one starts stacks that see the
// worktree. Without that they would run the code in their images, and look well.
func TestPoolExamples(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		for _, b := range blocksOf(readFile(t, page)) {
			text := strings.Join(b.lines, "\n")
			if filepath.Base(b.name) != "pool.star" || !extendsShipped(text) {
				continue
			}
			found++
			t.Run(filepath.Base(page)+"/"+b.name, func(t *testing.T) { startExample(t, text) })
		}
	}
	if found < 4 {
		t.Errorf("found %d examples, want those of README.md, docs/tutorial.md and docs/customising.md", found)
	}
}

// extendsShipped tells whether a pool.star makes a pool with the shipped template.
func extendsShipped(text string) bool {
	return strings.Contains(text, "@kinfra//pool.star") || strings.Contains(text, `resource("templates/docker-compose.yml")`)
}

func startExample(t *testing.T, pool string) {
	shipped := layer.Embedded("kinfra", scripts.Files)
	example := layer.Embedded("example", fstest.MapFS{
		"pool.star": {Data: []byte(pool)}, "main.star": {Data: []byte(startsExample)},
	})
	tests := &testRun{layers: &layer.Stack{Layers: []*layer.Layer{example, shipped}, Builtin: shipped}, timeout: time.Minute}
	var out bytes.Buffer
	run := engine.NewRun(t.Context(), tests.setup(t.Context(), &out))
	defer run.Close()
	file, err := example.Read("main.star")
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Load(file, true)
	if err = run.Finish(err); err != nil {
		t.Errorf("%s%s", diag.Of(err, run.Source)[0].Text(), out.String())
	}
}

// TestPoolsOfStories: stories are examples, too. One that makes a pool with the template of
// another one takes its mounts and variables as well.
func TestPoolsOfStories(t *testing.T) {
	stories, err := filepath.Glob("../../testscripts/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, story := range stories {
		for _, call := range regexp.MustCompile(`(?ms)^( *)(\w+ = |return )slot\.pool\(\n.*?^ *\)$`).FindAllString(readFile(t, story), -1) {
			of := regexp.MustCompile(`template = (\w+)\.template\b`).FindStringSubmatch(call)
			if of == nil {
				continue
			}
			calls++
			for _, name := range []string{"mounts", "pass_env"} {
				if want := name + " = " + of[1] + "." + name + ","; !strings.Contains(call, want) {
					t.Errorf("%s: a pool lacks %q:\n%s", filepath.Base(story), want, call)
				}
			}
		}
	}
	if calls < 20 {
		t.Errorf("found %d pools, which are too few", calls)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
