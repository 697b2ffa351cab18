package main

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// The binary's scripts come with their compiled forms.
func TestScriptsComeCompiled(t *testing.T) {
	layers, err := findLayers(world.NewFake().World(), "")
	if err != nil {
		t.Fatal(err)
	}
	file, err := layers.Find("slots.star")
	if err != nil {
		t.Fatal(err)
	}
	if file.Compiled() == nil {
		t.Error("slots.star has none")
	}
}
