package world

import (
	"context"
	"io"
	"time"
)

// Disk is the files of a machine.
type Disk interface {
	// Host is the file system as the operating system shows it: names are
	// absolute paths, and symbolic links are followed.
	Host() Files

	// Root is the tree below dir, an absolute path: names are slash-separated, relative to dir
	// ("." is dir itself), and nothing leads out of it, neither "..", an
	// absolute path nor a symbolic link. The directory need not exist until
	// it is used; after that it must not be moved or replaced while the Files are
	// in use. Use it wherever a name or the tree's content comes from somebody
	// else.
	Root(dir string) Files
}

// Processes are the programs that a machine runs.
//
// In a planned world a command that isn't marked ReadOnly is not started: the error is
// ErrPlanned.
type Processes interface {
	// Run starts a process and waits for it. A non-zero exit is not an error: it
	// is in the Output. A program that isn't there is exec.ErrNotFound, one that
	// took too long ErrTimeout, and one cancelled the context's error; what it
	// had printed till then is in the Output. The process gets a group of its
	// own, which is ended as a whole when ctx ends or the command's time is
	// over. What it leaves running in the background is not waited for.
	Run(ctx context.Context, cmd Command) (Output, error)

	// Attach starts a process that has this one's terminal, streams and process
	// group, waits for it, and returns its exit code as Output has it. The
	// command's Stdin, Timeout, Limit and Follow don't count. When ctx ends, the process is
	// asked to end, shortly after made to, and the error is the context's. Otherwise
	// it is as Run.
	Attach(ctx context.Context, cmd Command) (code int, err error)
}

// Services are what is reached over sockets.
type Services interface {
	// Send connects to a service, writes it a request, and returns its answer as it
	// comes, to be read to its end and closed. The connection is for this one exchange.
	// The request is written while the answer is read, so either may be of any size.
	//
	// A service that can't be reached is the system's error, such as fs.ErrNotExist or
	// syscall.ECONNREFUSED. When the request's time is over the error, of Send or of
	// reading, is ErrTimeout; when ctx ends, the context's. A request whose Body fails
	// ends the connection, and reading gives the Body's error.
	//
	// In a planned world a request that isn't marked ReadOnly is not sent, and Send
	// returns ErrPlanned.
	Send(ctx context.Context, req Request) (answer io.ReadCloser, err error)

	// Listening tells whether something accepts TCP connections at address
	// ("127.0.0.1:8001"). Whatever keeps a connection from being made counts as no; the
	// error is of a world that doesn't let one try.
	Listening(ctx context.Context, address string) (bool, error)

	// TryListen tells why a server could not listen at address now, or nil: it
	// takes the address, of network "tcp" or "udp", and gives it up at once. One
	// that is taken is syscall.EADDRINUSE.
	TryListen(ctx context.Context, network, address string) error
}

// Clock is the time of a machine.
type Clock interface {
	// Now is the wall clock.
	Now() time.Time

	// BootTime is how long the machine has been up, time asleep included, and a
	// text that is another one after each start of it. No setting of the wall
	// clock changes it, so what is to end after a time is measured by it.
	BootTime() (boot string, up time.Duration, err error)

	// Sleep waits for d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// Environment is what the calling process was given.
type Environment interface {
	// Getenv is a variable of the caller's environment, and whether it is set.
	Getenv(name string) (string, bool)

	// Environ is the caller's whole environment, as KEY=value. What of it a child
	// process is to see is for [CleanEnv] to say.
	Environ() []string

	// WorkDir is the working directory, absolute.
	WorkDir() (string, error)

	// Executable is the path of the running program, absolute.
	Executable() (string, error)

	// UserID is the effective user's number.
	UserID() int

	// Hostname is what the machine calls itself; "" if it doesn't say.
	Hostname() string

	// Random fills b with random bytes.
	Random(b []byte)
}

// Command is a process to be run.
type Command struct {
	Args     []string      // the program, then its arguments; a program without a slash is looked for in Env's PATH
	Dir      string        // its working directory, absolute
	Env      []string      // its whole environment, as KEY=value
	Stdin    []byte        // what it reads
	ReadOnly bool          // it changes nothing: run in a dry run, too
	Timeout  time.Duration // how long it may take; must be positive, but for Attach
	Limit    int64         // the most it may print on either stream, in bytes; more is ErrTooLarge; 0 means 64 MiB

	// Follow is told what the process prints, as it comes: all that the Output will
	// have, in pieces that end anywhere, in a character, too. The pieces of both streams
	// come one after the other, in about the order in which they were printed; each is
	// good until Follow returns, for which the process waits once its pipe is full. When
	// Run has returned none comes any more. nil: nobody follows. It doesn't count for
	// Attach.
	Follow func(from Stream, piece []byte)
}

// Stream is where a process prints.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Output is what a finished process left.
type Output struct {
	Code   int // exit code; 128 + the signal's number when a signal ended it
	Stdout []byte
	Stderr []byte
}

// Request is what is sent to a service.
type Request struct {
	Network        string        // "tcp" or "unix"
	Address        string        // "127.0.0.1:2379", "/var/run/docker.sock"
	Body           io.Reader     // all that is written, in the service's protocol; nil for nothing. Read till the answer is closed
	ReadOnly       bool          // it changes nothing: sent in a dry run, too
	Timeout        time.Duration // how long all may take, to the end of the answer; must be positive
	ConnectTimeout time.Duration // how much of that connecting may take; 0 for all
}
