package engine

import (
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/world"
)

// keptOutput is how much of what processes print is kept with a step, a check or the run,
// in bytes.
const keptOutput = 64 << 10

// What processes print is shown line by line, at once, and a line that isn't finished
// showEvery at the latest. The record gets it in larger pieces: after keepFirst, and then
// ever more rarely, up to once in keepLast. So a step that runs for hours adds some hundreds of
// events, and what a kill costs is a small part of the output.
const (
	showEvery = 100 * time.Millisecond
	keepFirst = 200 * time.Millisecond
	keepLast  = time.Minute
)

// output is what processes print in a step or check, or outside of them. The lock of the
// run guards it.
type output struct {
	run         *Run
	key, branch string
	printers    []*Printer // of the processes that run

	unkept     event.Tail // what the record doesn't have yet
	changed    bool       // so that the record's unfinished lines aren't those that there are
	kept       int        // how often the record got something
	show, keep *time.Timer
	over       bool
}

// Printer takes what one process prints.
type Printer struct {
	state  *state
	quiet  bool
	stdout stream
	stderr stream
	out    *output // nil until it prints
	tail   event.Tail
}

// Printer is for a process that the caller starts, in whose name it prints. What a quiet
// one prints is kept, but not shown as it comes.
func (c Caller) Printer(quiet bool) *Printer {
	masks := c.state.run.config.Masks
	return &Printer{
		state: c.state, quiet: quiet, tail: event.Tail{Most: keptOutput},
		stdout: stream{masked: masks.Stream()}, stderr: stream{masked: masks.Stream()},
	}
}

// stream is what a process prints on stdout or stderr: masked before anything else is made of
// it, then lines.
type stream struct {
	masked mask.Stream
	lines
}

// add takes a piece, and gives the lines that it has finished.
func (s *stream) add(piece []byte) (finished string) { return s.lines.add(s.masked.Write(piece)) }

// end gives what is left when the stream has ended.
func (s *stream) end() (finished string) {
	return s.lines.add(s.masked.Close()) + s.lines.rest()
}

// Print takes a piece, as the Follow of a [world.Command]. All that is shown or kept of a
// process, or told in an error about it, has come through here.
func (p *Printer) Print(from world.Stream, piece []byte) {
	r := p.state.run
	r.mu.Lock()
	defer r.mu.Unlock()
	stream := &p.stdout
	if from == world.Stderr {
		stream = &p.stderr
	}
	p.say(from, stream.add(piece))
}

// Close is called when the process has ended: what it has not finished is a line, too.
func (p *Printer) Close() {
	r := p.state.run
	r.mu.Lock()
	defer r.mu.Unlock()
	for from, stream := range p.streams {
		if rest := stream.end(); rest != "" {
			p.say(from, rest)
		}
	}
	if p.out != nil {
		p.out.leave(p)
	}
}

// Said is the end of what the process has printed.
func (p *Printer) Said() []event.Piece {
	p.state.run.mu.Lock()
	defer p.state.run.mu.Unlock()
	return p.tail.Pieces()
}

// streams are those of the process, in order.
func (p *Printer) streams(yield func(world.Stream, *stream) bool) {
	_ = yield(world.Stdout, &p.stdout) && yield(world.Stderr, &p.stderr)
}

// say takes note of lines that were finished, "" if the process is still at one. r.mu must be
// held, as for all below.
func (p *Printer) say(from world.Stream, finished string) {
	var pieces []event.Piece
	if finished != "" {
		pieces = []event.Piece{{Stream: string(from), Text: finished, Quiet: p.quiet}}
		p.tail.Add(pieces)
	}
	if p.state.collecting() {
		return // it was shown and kept when the step ran
	}
	if p.out == nil {
		p.out = p.state.output()
		p.out.printers = append(p.out.printers, p)
	}
	p.out.add(pieces)
}

// output is that of the step or check that is running, or of the run.
func (s *state) output() *output {
	key, branch := "", ""
	if s.node != nil {
		key, branch = s.node.key, s.branch
	}
	r := s.run
	o := r.outputs[key]
	if o == nil {
		if r.outputs == nil {
			r.outputs = map[string]*output{}
		}
		o = &output{run: r, key: key, branch: branch, unkept: event.Tail{Most: keptOutput}}
		r.outputs[key] = o
	}
	return o
}

// add shows lines, and sees that the record gets them.
func (o *output) add(finished []event.Piece) {
	o.changed = true
	if len(finished) > 0 {
		o.unkept.Add(finished)
		o.tell(finished)
	} else if o.show == nil {
		o.show = o.after(showEvery, func() { o.show = nil; o.tell(nil) })
	}
	if o.keep == nil && o.run.journal.Load() != nil {
		wait := min(keepFirst<<min(o.kept/3, 16), keepLast)
		o.keep = o.after(wait, func() { o.keep = nil; o.record() })
	}
}

// after has f called after a time, unless all is over then.
func (o *output) after(wait time.Duration, f func()) *time.Timer {
	return time.AfterFunc(wait, func() {
		o.run.mu.Lock()
		defer o.run.mu.Unlock()
		if !o.over {
			f()
		}
	})
}

// tell has lines shown, with those that aren't finished.
func (o *output) tell(finished []event.Piece) {
	o.run.emitLocked(o.event(finished))
}

func (o *output) event(finished []event.Piece) *event.Event {
	e := &event.Event{Type: event.Printed, Key: o.key, Branch: o.branch, Output: finished}
	for _, p := range o.printers {
		for from, stream := range p.streams {
			if line := stream.unfinished(); line != "" {
				e.Output = append(e.Output, event.Piece{Stream: string(from), Text: line, Quiet: p.quiet})
			}
		}
	}
	return e
}

// record gives the record what it doesn't have yet. That it can't be written, the next
// event that must be on record will tell.
func (o *output) record() {
	j := o.run.journal.Load()
	if j == nil || !o.changed {
		return
	}
	e := o.event(o.unkept.Pieces())
	e.Omitted = o.unkept.Omitted
	o.run.events++
	e.Seq, e.Time = o.run.events, o.run.config.World.Clock.Now()
	_ = j.Add(e.Masked(o.run.config.Masks))
	o.unkept, o.changed = event.Tail{Most: keptOutput}, false
	o.kept++
}

// leave takes note that a process has ended.
func (o *output) leave(p *Printer) {
	for i, other := range o.printers {
		if other == p {
			o.printers = append(o.printers[:i], o.printers[i+1:]...)
			return
		}
	}
}

// outputEnds completes what is on record of what was printed before an event: the end of
// a step or try, or of the run.
func (r *Run) outputEnds(e *event.Event) {
	o := r.outputs[e.Key]
	if o == nil {
		return
	}
	switch e.Type {
	case event.Retried:
		o.record()
	case event.Ended, event.RunEnded:
		o.record()
		o.over = true
		delete(r.outputs, e.Key)
		for _, t := range []*time.Timer{o.show, o.keep} {
			if t != nil {
				t.Stop()
			}
		}
	}
}
