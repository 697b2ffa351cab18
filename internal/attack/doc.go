// Package attack holds kinfra against files that somebody else has written, to take its
// memory or time, to overflow it, or to rewrite a terminal. It has tests alone: each
// command that looks at a script is given each of the files, as a process of its own
// whose memory and time are limited from outside. It must end by itself, with a message
// and a code that is documented, and without a trace of Go's runtime.
package attack
