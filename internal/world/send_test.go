package world_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// service accepts connections on a socket until the test ends, and has each served.
func service(t *testing.T, serve func(conn *net.UnixConn)) world.Request {
	t.Helper()
	path := filepath.Join(tempDir(t), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	worldtest.Must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return world.Request{Network: "unix", Address: path, Timeout: time.Minute}
}

// ask sends a request and reads the answer.
func ask(ctx context.Context, w world.World, req world.Request) (string, error) {
	answer, err := w.Services.Send(ctx, req)
	if err != nil {
		return "", err
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	return string(text), err
}

// line answers a line.
func line(conn *net.UnixConn) {
	text, _ := bufio.NewReader(conn).ReadString('\n')
	io.WriteString(conn, "got "+text)
}

func TestSend(t *testing.T) {
	req := service(t, line)
	req.Body = strings.NewReader("a line\n")
	if got, err := ask(t.Context(), world.Real("test"), req); got != "got a line\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	req.Body = nil
	silent := service(t, func(conn *net.UnixConn) { io.WriteString(conn, "hello") })
	if got, err := ask(t.Context(), world.Real("test"), silent); got != "hello" || err != nil {
		t.Errorf("without a body: got %q, %v", got, err)
	}
}

// TestSendStreams sends more than fits into any buffer to a service that sends it back
// meanwhile.
func TestSendStreams(t *testing.T) {
	const size = 64 << 20
	req := service(t, func(conn *net.UnixConn) { io.CopyN(conn, conn, size) })
	req.Body = io.LimitReader(zeros{}, size)
	answer, err := world.Real("test").Services.Send(t.Context(), req)
	worldtest.Must(t, err)
	defer answer.Close()
	if n, err := io.Copy(io.Discard, answer); n != size || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestSendIsRefusedEarly: what a service says that doesn't take all of a request is read.
func TestSendIsRefusedEarly(t *testing.T) {
	req := service(t, func(conn *net.UnixConn) {
		conn.Read(make([]byte, 10))
		io.WriteString(conn, "too large")
		conn.CloseWrite()
		io.Copy(io.Discard, conn) // until the other side has closed it
	})
	req.Body = zeros{}
	if got, err := ask(t.Context(), world.Real("test"), req); got != "too large" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSendFails sends where nobody is, and what can't be sent.
func TestSendFails(t *testing.T) {
	w := world.Real("test")
	gone := world.Request{Network: "unix", Address: filepath.Join(tempDir(t), "s"), Timeout: time.Minute}
	_, err := ask(t.Context(), w, gone)
	worldtest.WantErr(t, err, fs.ErrNotExist)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	worldtest.Must(t, err)
	refused := world.Request{Network: "tcp", Address: listener.Addr().String(), Timeout: time.Minute}
	listener.Close()
	_, err = ask(t.Context(), w, refused)
	worldtest.WantErr(t, err, syscall.ECONNREFUSED)

	broken := errors.New("the disk is broken")
	received := make(chan string, 1)
	req := service(t, func(conn *net.UnixConn) {
		all, _ := io.ReadAll(conn)
		received <- string(all)
	})
	req.Body = io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	_, err = ask(t.Context(), w, req)
	worldtest.WantErr(t, err, broken)
	if got := <-received; got != "half" {
		t.Errorf("the service got %q", got)
	}

	for _, spoil := range []func(*world.Request){
		func(r *world.Request) { r.Network = "udp" },
		func(r *world.Request) { r.Timeout = 0 },
		func(r *world.Request) { r.ConnectTimeout = -1 },
	} {
		bad := req
		spoil(&bad)
		for _, w := range []world.World{w, world.Planned(w), world.NewFake().World()} {
			if _, err := w.Services.Send(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "want") {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	}
}

// TestSendEnds with its time and its context, while it connects and while it reads.
func TestSendEnds(t *testing.T) {
	w := world.Real("test")
	asked := make(chan struct{}, 1)
	req := service(t, func(conn *net.UnixConn) {
		io.WriteString(conn, "begun")
		asked <- struct{}{}
		io.Copy(io.Discard, conn)
	})
	req.Timeout = 50 * time.Millisecond
	got, err := ask(t.Context(), w, req)
	worldtest.WantErr(t, err, world.ErrTimeout)
	if got != "begun" {
		t.Errorf("till then came %q", got)
	}
	<-asked

	req.Timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err = ask(ctx, w, req)
	worldtest.WantErr(t, err, context.Canceled)
	_, err = ask(ctx, w, req)
	worldtest.WantErr(t, err, context.Canceled)

	// An answer that is closed before its end lets go of the service.
	answer, err := w.Services.Send(t.Context(), req)
	worldtest.Must(t, err)
	<-asked
	worldtest.Must(t, answer.Close())
	if n, err := answer.Read(make([]byte, 9)); err == nil && n > len("begun") {
		t.Error("a closed answer goes on")
	}
}

// TestConnectingEnds: nobody accepts at an address whose queue is full.
func TestConnectingEnds(t *testing.T) {
	req := world.Request{Network: "tcp", Address: fullQueue(t), Timeout: time.Minute, ConnectTimeout: 50 * time.Millisecond}
	_, err := ask(t.Context(), world.Real("test"), req)
	worldtest.WantErr(t, err, world.ErrTimeout)
	if err == nil || !strings.Contains(err.Error(), "connecting") {
		t.Errorf("got %v", err)
	}
}

// fullQueue is an address that takes no more connections: it listens, but its queue of
// one is taken and never accepted.
func fullQueue(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	worldtest.Must(t, err)
	t.Cleanup(func() { syscall.Close(socket) })
	worldtest.Must(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	worldtest.Must(t, syscall.Listen(socket, 0))
	bound, err := syscall.Getsockname(socket)
	worldtest.Must(t, err)
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*syscall.SockaddrInet4).Port}).String()
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 50*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("this system takes any number of connections that nobody accepts")
	return ""
}

func TestFakeAnswers(t *testing.T) {
	f := world.NewFake()
	req := world.Request{Network: "tcp", Address: "127.0.0.1:80", Timeout: time.Minute}
	_, err := ask(t.Context(), f.World(), req)
	worldtest.WantErr(t, err, syscall.ECONNREFUSED)
	f.Answer = func(_ context.Context, req world.Request) ([]byte, error) {
		body, err := io.ReadAll(req.Body)
		return bytes.ToUpper(body), err
	}
	if got, err := ask(t.Context(), f.World(), req); got != "" || err != nil {
		t.Errorf("without a body: got %q, %v", got, err)
	}
	req.Body = strings.NewReader("text")
	if got, err := ask(t.Context(), f.World(), req); got != "TEXT" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ask(ctx, f.World(), req)
	worldtest.WantErr(t, err, context.Canceled)
}
