package doc

import "github.com/ktrdr/kinfra/engine/table"

// ModuleJSON is a module as --output json has it.
type ModuleJSON struct {
	Name     string        `json:"name"` // empty for the builtins without a module
	Doc      string        `json:"doc,omitempty"`
	Methods  bool          `json:"methods,omitempty"` // its builtins are methods of values
	Testing  bool          `json:"testing,omitempty"` // scripts see it only while they are tested
	Builtins []BuiltinJSON `json:"builtins"`
	Values   []ValueJSON   `json:"values,omitempty"`
}

// BuiltinJSON is a builtin as --output json has it.
type BuiltinJSON struct {
	Name      string      `json:"name"`
	Signature string      `json:"signature"`
	Doc       string      `json:"doc"`
	Params    []ParamJSON `json:"params"`
	Result    string      `json:"result,omitempty"` // None if empty
	Errors    string      `json:"errors,omitempty"`
	Example   string      `json:"example"`
}

// ParamJSON is a parameter as --output json has it.
type ParamJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Help     string `json:"help"`
	Optional bool   `json:"optional,omitempty"`
	Default  string `json:"default,omitempty"` // as Starlark writes it
	Named    bool   `json:"named,omitempty"`
	Rest     bool   `json:"rest,omitempty"`
	Keywords bool   `json:"keywords,omitempty"`
}

// ValueJSON is a module's value as --output json has it.
type ValueJSON struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// ScriptJSON is a script as --output json has it.
type ScriptJSON struct {
	Name      string         `json:"name"`
	Layer     string         `json:"layer"`
	Doc       string         `json:"doc"`
	Commands  []string       `json:"commands,omitempty"`
	Values    []string       `json:"values,omitempty"`
	Functions []FunctionJSON `json:"functions,omitempty"`
}

// FunctionJSON is a function of a script as --output json has it.
type FunctionJSON struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Doc       string `json:"doc,omitempty"`
}

// EntryJSON is what a name stands for: one field is set.
type EntryJSON struct {
	Module  *ModuleJSON  `json:"module,omitempty"`
	Builtin *BuiltinJSON `json:"builtin,omitempty"`
	Value   *ValueJSON   `json:"value,omitempty"`
	Script  *ScriptJSON  `json:"script,omitempty"`
}

// ReferenceJSON is the whole table.
type ReferenceJSON struct {
	Modules  []ModuleJSON `json:"modules"`
	Scripts  []ScriptJSON `json:"scripts"`
	Examples string       `json:"examples"` // what the examples see
}

// JSON is the whole table for programs.
func (r *Reference) JSON() ReferenceJSON {
	return ReferenceJSON{all(r.Modules, moduleJSON), all(r.Scripts, scriptJSON), r.Examples}
}

// JSON is the entry for programs.
func (e Entry) JSON() EntryJSON {
	return EntryJSON{pointer(e.Module, moduleJSON), pointer(e.Builtin, builtinJSON), pointer(e.Value, valueJSON), pointer(e.Script, scriptJSON)}
}

func all[T, J any](values []T, convert func(*T) J) []J {
	converted := make([]J, len(values))
	for i := range values {
		converted[i] = convert(&values[i])
	}
	return converted
}

func pointer[T, J any](v *T, convert func(*T) J) *J {
	if v == nil {
		return nil
	}
	converted := convert(v)
	return &converted
}

func moduleJSON(m *table.Module) ModuleJSON {
	return ModuleJSON{m.Name, m.Doc, m.Type, m.Testing, all(m.Builtins, builtinJSON), all(m.Values, valueJSON)}
}

func builtinJSON(b *table.Builtin) BuiltinJSON {
	return BuiltinJSON{b.Name, b.Signature(), b.Doc, all(b.Params, paramJSON), b.Result, b.Errors, b.Example}
}

func paramJSON(p *table.Param) ParamJSON {
	standard := ""
	if p.Default != nil {
		standard = p.Default.String()
	}
	return ParamJSON{p.Name, p.Type.Name, p.Help, p.Optional, standard, p.Named, p.Rest, p.Keywords}
}

func valueJSON(v *table.Value) ValueJSON { return ValueJSON{v.Name, v.Doc} }

func scriptJSON(s *Script) ScriptJSON {
	return ScriptJSON{s.Name, s.Layer, s.Doc, s.Commands, s.Values, all(s.Functions, functionJSON)}
}

func functionJSON(f *Function) FunctionJSON { return FunctionJSON{f.Name, f.Signature, f.Doc} }
