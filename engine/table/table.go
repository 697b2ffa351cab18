// Package table declares the builtins that scripts can call. A builtin is
// declared once, as a [Builtin]: its name, parameters, result and errors with a
// line of help each, an example, and the function behind it. Argument parsing, the
// messages for wrong calls, the reference page and `kinfra doc` all come from that
// declaration, so that none can drift from the others.
package table

import (
	"fmt"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/nearest"
)

// Module is a named group of builtins: slot, registry, fs. The module without a
// name holds the universal ones: step, check, print.
type Module struct {
	Name     string
	Doc      string // what the module is for: one sentence, then the edges
	Type     bool   // the builtins are methods of values, and the module has no name in scripts
	Testing  bool   // scripts see it only while they are tested
	Builtins []Builtin
	Values   []Value
}

// Value is a module's attribute that isn't called.
type Value struct {
	Name  string // in full: "math.pi"
	Doc   string
	Value starlark.Value
}

// Builtin is a function that scripts can call.
type Builtin struct {
	Name   string // in full, as it appears in a backtrace: "slot.ensure"
	Doc    string // the first sentence starts with a verb and stands in lists; then the edges
	Params []Param
	Result string // the shape of what it returns; empty for None
	Errors string // when it fails; empty if only wrong arguments make it fail
	Run    func(*Call) (starlark.Value, error)

	// Declares says that a call declares something that the scripts consist of: a
	// command, a flag, a rule. Every error of it is a [DeclarationError].
	Declares bool

	// Changes says that a call changes something outside of the run: files, processes,
	// what others see. One with a parameter ReadOnly doesn't where that is True.
	Changes bool

	// Reads says that what a call gives, or fails with, depends on the outside: files,
	// processes, what others change.
	Reads bool

	// Expects says that a call fails where a value isn't what it should be, which may have
	// been read.
	Expects bool

	// Example is a few lines of Starlark that call it. "# -> VALUE" behind an
	// expression says what it gives, "# fails: TEXT" that it fails and what the
	// message has. Tests run it.
	Example string
}

// DeclarationError is the error of a call that declares something: a fault of the script
// itself, as bad syntax is, with the message of what it wraps.
type DeclarationError struct{ error }

func (e *DeclarationError) Unwrap() error { return e.error }

// ArgumentError is the error of a builtin's function about an argument, as wrong as one of
// another type: a fault of the script, whatever there is outside.
type ArgumentError struct{ Err error }

func (e *ArgumentError) Error() string { return e.Err.Error() }
func (e *ArgumentError) Unwrap() error { return e.Err }

// ReadOnly is the parameter by which a script says that a call changes nothing.
const ReadOnly = "read_only"

// Param is a parameter of a builtin.
type Param struct {
	Name     string
	Type     Type
	Optional bool           // may be left out; Default is then its value
	Default  starlark.Value // None if nil
	Named    bool           // can only be given by name
	Rest     bool           // takes all remaining positional arguments, each of Type
	Keywords bool           // takes all keyword arguments of other names, each of Type
	Help     string         // one line
}

// Predeclare returns the modules as the names that scripts see.
func Predeclare(modules []Module) starlark.StringDict {
	names := make(starlark.StringDict, len(modules)+16)
	for i := range modules {
		switch m := &modules[i]; {
		case m.Type:
		case m.Name == "":
			for j := range m.Builtins {
				names[m.Builtins[j].Name] = m.Builtins[j].function(nil)
			}
		default:
			names[m.Name] = &module{declared: m}
		}
	}
	return names
}

// module is the value of a module's name in a script. Its functions are made when one
// is first asked for, since most runs need few modules.
type module struct {
	declared *Module
	make     sync.Once
	made     starlark.StringDict
}

func (m *module) members() starlark.StringDict {
	m.make.Do(func() {
		m.made = make(starlark.StringDict, len(m.declared.Builtins))
		for i := range m.declared.Builtins {
			b := &m.declared.Builtins[i]
			m.made[b.Name[len(m.declared.Name)+1:]] = b.function(nil)
		}
	})
	return m.made
}

func (m *module) String() string        { return "<module " + m.declared.Name + ">" }
func (m *module) Type() string          { return "module" }
func (m *module) Freeze()               {}
func (m *module) Truth() starlark.Bool  { return true }
func (m *module) Hash() (uint32, error) { return starlark.String(m.declared.Name).Hash() }

// Attr gives a member. The error for an unknown one is no NoSuchAttrError, to which
// starlark would add a suggestion of its own.
func (m *module) Attr(name string) (starlark.Value, error) {
	if v, ok := m.members()[name]; ok {
		return v, nil
	}
	for _, v := range m.declared.Values {
		if v.Name == m.declared.Name+"."+name {
			return v.Value, nil
		}
	}
	return nil, fmt.Errorf("%s has no %q%s", m.declared.Name, name, nearest.Suggest(name, m.AttrNames()))
}

func (m *module) AttrNames() []string {
	names := m.members().Keys()
	for _, v := range m.declared.Values {
		names = append(names, v.Name[len(m.declared.Name)+1:])
	}
	return names
}

// Method is the builtin as a method of a value.
func (b *Builtin) Method(receiver starlark.Value) starlark.Value {
	return b.function(receiver).BindReceiver(receiver)
}

// function is the callable of a builtin.
func (b *Builtin) function(receiver starlark.Value) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		v, err := b.call(thread, receiver, args, kwargs)
		if err != nil && b.Declares {
			err = &DeclarationError{err}
		}
		return v, err
	})
}

func (b *Builtin) call(thread *starlark.Thread, receiver starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	call := &Call{Thread: thread, Builtin: b, Receiver: receiver}
	if err := call.bind(args, kwargs); err != nil {
		return nil, err
	}
	v, err := b.Run(call)
	if v == nil && err == nil {
		v = starlark.None
	}
	return v, err
}
