package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// check refuses a request that no world could send.
func (r Request) check() error {
	switch {
	case r.Network != "tcp" && r.Network != "unix":
		return r.fault(fmt.Errorf("its network is %q, want tcp or unix", r.Network))
	case r.Timeout <= 0:
		return r.fault(fmt.Errorf("its timeout is %s, want a positive one", r.Timeout))
	case r.ConnectTimeout < 0:
		return r.fault(fmt.Errorf("its timeout for connecting is %s, want a positive one", r.ConnectTimeout))
	}
	return nil
}

func (r Request) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sending to %s: %w", r.Address, err)
}

// ended is the error of an exchange under ctx, which may be because that has ended.
func (r Request) ended(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), ErrTimeout):
		return r.fault(fmt.Errorf("%w after %s", ErrTimeout, r.Timeout))
	case ctx.Err() != nil:
		return r.fault(ctx.Err())
	}
	return err
}

func (realServices) Send(ctx context.Context, req Request) (io.ReadCloser, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, req.Timeout, ErrTimeout)
	conn, err := req.connect(ctx)
	if err != nil {
		err = req.ended(ctx, err)
		cancel()
		return nil, err
	}
	a := &answer{request: req, ctx: ctx, cancel: cancel, conn: conn}
	context.AfterFunc(ctx, func() { conn.Close() })
	if req.Body != nil {
		go a.send()
	}
	return a, nil
}

func (r Request) connect(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: r.ConnectTimeout}
	conn, err := dialer.DialContext(ctx, r.Network, r.Address)
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		err = r.fault(fmt.Errorf("connecting %w after %s", ErrTimeout, r.ConnectTimeout))
	}
	return conn, err
}

// answer is what comes back over a connection, while the request may still be written.
type answer struct {
	request Request
	ctx     context.Context // ends when the time is over or the answer is closed; closes conn
	cancel  func()
	conn    net.Conn

	mu   sync.Mutex
	fail error // why the Body could not be read to its end
}

// send writes the request. Where the service takes no more of it, what that has to say
// is still read. Half a request for lack of the rest must not pass for a whole one, so
// then the connection ends.
func (a *answer) send() {
	body := &source{from: a.request.Body}
	_, _ = io.Copy(a.conn, body) // an error of the connection shows where the answer is read
	if body.err != nil {
		a.mu.Lock()
		a.fail = body.err
		a.mu.Unlock()
		a.conn.Close()
	}
}

// source notes why a Body could not be read.
type source struct {
	from io.Reader
	err  error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (a *answer) Read(b []byte) (int, error) {
	n, err := a.conn.Read(b)
	if err == nil || err == io.EOF {
		return n, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		err = a.request.fault(a.fail)
	}
	return n, a.request.ended(a.ctx, err)
}

// Close lets go of the connection. A Read of the Body may still be going on.
func (a *answer) Close() error {
	a.cancel()
	return nil
}
