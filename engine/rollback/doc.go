// Package rollback runs random programs of steps, fails and kills them, resumes and undoes
// them in any order, and holds what comes of it against a model of what must be. It is no
// part of the binary.
//
// A [Case] is a program and the processes that are at its run. The engine runs them, with a
// real journal; each function of a step or undo tells a [Trace] when it is called, and so
// does each line that reaches the journal. [Check] then goes through the trace. It knows the
// program as a tree and the rules for users of docs/runs.md; it shares nothing with
// event.History, which is what it tests. The trace is all that it needs, so that processes may
// as well be real ones that are killed.
//
// Branches run at the same time, so a case need not go the same way twice. The model doesn't
// foretell which way it goes: it judges what happened.
package rollback
