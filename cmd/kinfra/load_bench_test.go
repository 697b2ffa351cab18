package main

import (
	"context"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
)

// BenchmarkLoad is what each start of a script's command costs: preparing the run and
// evaluating the files of `sandbox slots`.
func BenchmarkLoad(b *testing.B) {
	builtin := layer.Embedded("kinfra", os.DirFS("../../scripts"))
	file, err := builtin.Read("slots.star")
	if err != nil {
		b.Fatal(err)
	}
	config := &engine.Config{
		World: world.NewFake().World(), Layers: &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin}, Limits: engine.DefaultLimits(),
		Output: engine.Output{Format: engine.Text}, Log: hclog.NewNullLogger(),
	}
	for b.Loop() {
		config.Modules = builtins.Modules(builtins.Options{})
		run := engine.NewRun(context.Background(), config)
		if _, err := run.Load(file, false); err != nil {
			b.Fatal(err)
		}
		run.Close()
	}
}
