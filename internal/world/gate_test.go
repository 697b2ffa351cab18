package world_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

var errRefused = errors.New("not now")

// gates are all the worlds there are, each by what makes it.
func gates() map[string][]worldtest.Gate {
	same := func(w world.World) world.World { return w }
	faulty := func(err error) func(w world.World) world.World {
		return func(w world.World) world.World {
			return world.Faulty(w, func(string, string) error { return err })
		}
	}
	refuse := func(worldtest.Act) worldtest.Fate { return worldtest.Refuses }
	return map[string][]worldtest.Gate{
		"Real":  {{Wrap: same}}, // what CheckGate does on real files
		"World": {{Wrap: same}}, // what it does on a Fake
		"In":    {{Wrap: func(w world.World) world.World { return world.In(w, "/") }}},
		"Faulty": {
			{Wrap: faulty(nil)},
			{Wrap: faulty(errRefused), Fate: refuse, Refusal: errRefused},
		},
		"Noted": {
			{Wrap: func(w world.World) world.World { return world.Noted(w, func(world.Operation) {}) }},
			{Wrap: func(w world.World) world.World { return world.Noted(world.Planned(w), func(world.Operation) {}) }, Fate: planned},
		},
		"FilesOnly": {
			{Wrap: func(w world.World) world.World { return world.FilesOnly(w, errRefused) }, Fate: refuse, Refusal: errRefused},
			{Wrap: func(w world.World) world.World { return world.FilesOnly(world.Planned(w), errRefused) }, Fate: refuse, Refusal: errRefused},
		},
		"Planned": {
			{Wrap: world.Planned, Fate: planned},
			{Wrap: func(w world.World) world.World { return world.Planned(world.Planned(w)) }, Fate: planned},
			{Wrap: func(w world.World) world.World { return faulty(nil)(world.Planned(w)) }, Fate: planned},
		},
	}
}

// planned is what a dry run does: it lets through what leaves nothing behind.
func planned(a worldtest.Act) worldtest.Fate {
	switch a.Method {
	case "Processes.Run", "Processes.Attach", "Services.Send":
		if a.ReadOnly {
			return worldtest.Passes
		}
	case "Services.Listening", "Services.TryListen":
		return worldtest.Passes
	}
	return worldtest.Plans
}

// TestGate has every world pass, plan or refuse every way to reach the outside, as it
// declares.
func TestGate(t *testing.T) {
	for name, all := range gates() {
		for _, g := range all {
			t.Run(name, func(t *testing.T) { worldtest.CheckGate(t, g) })
		}
	}
}

// TestGateIsWhole: no method of a role, and no world of this package, is missing from
// the table.
func TestGateIsWhole(t *testing.T) {
	missing, unknown := worldtest.Unlisted()
	for _, method := range missing {
		t.Errorf("nobody tests what worlds make of %s: list it in internal/worldtest", method)
	}
	for _, method := range unknown {
		t.Errorf("%s is listed, and is no method of a role", method)
	}
	listed := gates()
	makers := worldMakers(t)
	for _, name := range makers {
		if listed[name] == nil {
			t.Errorf("nobody tests what becomes of changes in the world that %s makes", name)
		}
	}
	if len(makers) != len(listed) {
		t.Errorf("worlds are made by %q", makers)
	}
}

// worldMakers are the exported functions and methods of this package that give a World.
func worldMakers(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	worldtest.Must(t, err)
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		worldtest.Must(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.IsExported() && givesWorld(f) {
				names = append(names, f.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func givesWorld(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	return slices.ContainsFunc(f.Type.Results.List, func(field *ast.Field) bool {
		id, ok := field.Type.(*ast.Ident)
		return ok && id.Name == "World"
	})
}

// TestPlannedStays: a plan stays one, whatever lies over it.
func TestPlannedStays(t *testing.T) {
	w := world.NewFake().World()
	if w.Planned() {
		t.Error("a machine is only planned")
	}
	plan := world.Planned(w)
	for name, over := range map[string]world.World{
		"itself": plan, "elsewhere": world.In(plan, "/"), "faulty": world.Faulty(plan, nil), "files only": world.FilesOnly(plan, errRefused),
		"noted": world.Noted(plan, nil),
	} {
		if !over.Planned() {
			t.Errorf("%s: it isn't planned any more", name)
		}
	}
}

// TestFilesOnlyReads what there is.
func TestFilesOnlyReads(t *testing.T) {
	f := world.NewFake()
	f.Write("/tmp/file", []byte("text"))
	worldtest.Must(t, f.Host().Symlink("file", "/tmp/link"))
	w := world.FilesOnly(f.World(), errRefused)
	for _, files := range []world.Files{w.Disk.Root("/tmp"), worldtest.Below(w.Disk.Host(), "/tmp")} {
		wantRead(t, files, "link", "text")
		wantNames(t, files, ".", "file", "link")
		if target, err := files.ReadLink("link"); target != "file" || err != nil {
			t.Errorf("the link points to %q, %v", target, err)
		}
	}
	if dir, err := w.Env.WorkDir(); dir != f.Dir || err != nil || !w.Clock.Now().Equal(f.Now()) {
		t.Errorf("it is in %q, %v, at %s", dir, err, w.Clock.Now())
	}
	worldtest.WantErr(t, w.Disk.Host().CreateFile("/tmp/x", nil, 0o600), errRefused)
}
