// Package event is what happens in a run, as it happens: steps and checks that begin
// and end, what is announced, how the run ended. Everything that shows or keeps a run
// is made from its events: the lines on a terminal, the JSON lines of --output events,
// the journal in the record of a run, and the reports.
//
// The JSON form of an event is documented in docs/runs.md.
package event

import (
	"encoding/json"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
)

// Version is that of the events' JSON form. A field or a type more does not change it.
const Version = 1

// Type says what happened.
type Type string

// The types.
const (
	RunBegan  Type = "run"      // the first event of a run
	Recorded  Type = "record"   // the run has begun its record, and so has an ID
	Resumed   Type = "resume"   // an interrupted run goes on, or is undone
	Began     Type = "begin"    // a step or check
	Moved     Type = "moved"    // a step that counts as done stands elsewhere in the script than when it began, or has got an undo function
	Retried   Type = "retry"    // a try of a step failed, and another follows
	Ended     Type = "end"      // a step or check
	Noted     Type = "evidence" // a script put something on record
	Undoing   Type = "undoing"  // a step is about to be taken back
	Undid     Type = "undo"     // a step was taken back, or could not be
	Clock     Type = "clock"    // a script read the clock between steps
	FileRead  Type = "file"     // a file that comes with the scripts was first asked for when the record had begun; in the record only
	Concealed Type = "secret"   // a secret was read, for the first time in the run
	Asked     Type = "ask"      // the user is asked, and the run waits for an answer
	Answered  Type = "answer"   // a question was answered, by the user or for them
	Said      Type = "say"      // an announcement
	Told      Type = "progress" // how far a long call is
	Printed   Type = "output"   // what a process printed
	Warned    Type = "warning"  // something went wrong that does not end the run
	RunEnded  Type = "result"   // the last event of a run
)

// Kind says what a node of the run is.
type Kind string

// The kinds of nodes.
const (
	Step  Kind = "step"
	Check Kind = "check"
)

// Status is how a node, or a run, ended.
type Status string

// The ways to end.
const (
	Running     Status = "running"     // not yet
	Passed      Status = "passed"      // done
	Failed      Status = "failed"      // with an error
	Skipped     Status = "skipped"     // a check that needs one which failed
	Undone      Status = "undone"      // done, and taken back
	Decided     Status = "decided"     // in a dry run: known only when it runs
	Interrupted Status = "interrupted" // a run that was ended from outside
)

// Event is something that happened. Which fields it has depends on its type.
type Event struct {
	Seq  int       `json:"seq"` // from 1, in the order in which things happened
	Time time.Time `json:"time"`
	Type Type      `json:"event"`

	// Of a step or check.
	Key      string            `json:"key,omitempty"`    // its name behind those of the steps around it, joined by "/"; of a question or an announcement: that it stands in
	Kind     Kind              `json:"kind,omitempty"`   // at its begin
	Branch   string            `json:"branch,omitempty"` // at its begin, of a question, of an announcement and of output: the branch of parallel that it is in; see [InBranch]
	After    string            `json:"after,omitempty"`  // at its begin: the name of the one before it, on its branch and inside the same one
	Leg      int               `json:"leg,omitempty"`    // at its begin: of its branch, which calls of parallel part into legs; the first is 1
	At       string            `json:"at,omitempty"`     // at its begin: where in the scripts it stands, as "file:line:column"
	Status   Status            `json:"status,omitempty"` // at its end, or that of the run
	Seconds  float64           `json:"seconds,omitempty"`
	Result   json.RawMessage   `json:"result,omitempty"` // of a step that was done, or of the run
	Undoable bool              `json:"undoable,omitempty"`
	Replayed bool              `json:"replayed,omitempty"` // its result is that of an earlier process; of an answer or an announcement: it is
	Needs    []string          `json:"needs,omitempty"`    // of a skipped check: the names of those that failed
	Problems []diag.Diagnostic `json:"problems,omitempty"`
	Pause    float64           `json:"pause,omitempty"` // seconds until the next try

	Changes     []Change `json:"changes,omitempty"`      // in a dry run: of what ended, or of the run outside of its steps
	MoreChanges int      `json:"more_changes,omitempty"` // how many there are beside them
	DryRun      bool     `json:"dry_run,omitempty"`      // of the last event: nothing was changed

	Name string `json:"name,omitempty"` // of a piece of evidence
	Text string `json:"text,omitempty"` // evidence, an announcement, a warning, how far something is, why a step begins again, or where a secret is kept

	Output []Piece `json:"output,omitempty"` // what processes printed since the last event of this type about the same step

	Omitted int `json:"omitted,omitempty"` // bytes of what was announced, or printed before Output, that the record does not have

	Read *time.Time `json:"read,omitempty"` // what the clock said

	File string `json:"file,omitempty"` // of FileRead: its layer and its name in that, joined by "//"
	Data []byte `json:"data,omitempty"` // and what was in it

	Question *Question `json:"question,omitempty"`
	Answer   *Answer   `json:"answer,omitempty"`

	Run  *Run `json:"run,omitempty"`  // what began
	Exit *int `json:"exit,omitempty"` // the exit code of the run
	Undo bool `json:"undo,omitempty"` // of Resumed: the run is taken back

	Scripts string  `json:"scripts,omitempty"` // of Resumed: the file of the record with the scripts from here on, where they are others than before
	Places  []Place `json:"places,omitempty"`  // of Resumed: the steps and checks that stand elsewhere in these
}

// Place is where a step or check stands; see [Event].
type Place struct {
	Key    string `json:"key"`
	Branch string `json:"branch,omitempty"`
	After  string `json:"after,omitempty"`
	Leg    int    `json:"leg"`
}

// Run is what is known of a run when it begins. What takes a process or a file to find out
// (Host, User, Git) is there if a report of the run is asked for or it leaves a record.
type Run struct {
	Version int      `json:"version"`           // of the events
	ID      string   `json:"id,omitempty"`      // of its record
	Command string   `json:"command"`           // "sandbox claim", or "run" for a file without a workflow
	Line    string   `json:"line,omitempty"`    // the command line as it was typed, quoted for a shell
	Args    []string `json:"args,omitempty"`    // what it comes to behind the program's name, for whoever types it elsewhere
	Dir     string   `json:"dir,omitempty"`     // the working directory
	Root    string   `json:"root,omitempty"`    // of the pool, whichever way it was found
	Host    string   `json:"host,omitempty"`    // the name of the machine
	User    string   `json:"user,omitempty"`    // who ran it
	Git     []Git    `json:"git,omitempty"`     // what Dir is in, and the project's scripts where that differs
	Kinfra  string   `json:"kinfra"`            // the version of the binary
	DryRun  bool     `json:"dry_run,omitempty"` // nothing was changed
}

// Git is a working tree of git when the run began.
type Git struct {
	Dir    string `json:"dir"` // its top
	Commit string `json:"commit"`
	Clean  *bool  `json:"clean,omitempty"` // nothing differed from the commit; nil if git did not say so in time
}

// Took is how long what ended took.
func (e *Event) Took() time.Duration { return time.Duration(e.Seconds * float64(time.Second)) }
