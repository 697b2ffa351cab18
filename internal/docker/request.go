package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	// connectTimeout is how long an Engine may take to accept a connection: a local
	// one does at once, or never.
	connectTimeout = 500 * time.Millisecond

	// answerLimit is the most bytes of an answer: some ten thousand containers.
	answerLimit = 64 << 20
)

// listDirectly asks the Engine itself. The path has no version, so that the Engine
// answers in its own, whichever that is, without being asked for it before.
func (e *Engine) listDirectly(ctx context.Context, label string) ([]summary, error) {
	query := url.Values{"all": {"1"}}
	if label != "" {
		query.Set("filters", `{"label":[`+strconv.Quote(label)+`]}`)
	}
	body, err := e.get(ctx, "/containers/json?"+query.Encode())
	if err != nil {
		return nil, e.unavailable(err)
	}
	var summaries []summary
	if err := json.Unmarshal(body, &summaries); err != nil {
		return nil, e.unavailable(fmt.Errorf("its answer is not a list of containers: %w", err))
	}
	return summaries, nil
}

// get requests a path and returns the body of the answer. By HTTP/1.0 the answer
// ends with its length or the connection, and is never sent in chunks.
func (e *Engine) get(ctx context.Context, path string) ([]byte, error) {
	network, address := e.endpoint.address()
	host := "docker"
	if network == "tcp" {
		host = address
	}
	answer, err := e.world.Services.Send(ctx, world.Request{
		Network: network, Address: address, ReadOnly: true, Timeout: listTimeout, ConnectTimeout: connectTimeout,
		Body: strings.NewReader("GET " + path + " HTTP/1.0\r\nHost: " + host + "\r\nUser-Agent: kinfra\r\n\r\n"),
	})
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return readAnswer(answer)
}

// readAnswer reads an HTTP answer and returns its body. Another code than 200 is an
// error with the Engine's message.
func readAnswer(from io.Reader) ([]byte, error) {
	r := textproto.NewReader(bufio.NewReader(io.LimitReader(from, answerLimit+1)))
	line, err := r.ReadLine()
	if err != nil {
		return nil, fmt.Errorf("reading its answer: %w", noEOF(err))
	}
	protocol, status, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(protocol, "HTTP/") {
		return nil, fmt.Errorf("it doesn't speak HTTP: its answer begins with %.40q", line)
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("reading its answer: %w", noEOF(err))
	}
	body, err := io.ReadAll(r.R)
	if err != nil {
		return nil, fmt.Errorf("reading its answer: %w", err)
	}
	if len(body) >= answerLimit {
		return nil, fmt.Errorf("its answer is larger than %d bytes", answerLimit)
	}
	if length := header.Get("Content-Length"); length != "" && length != strconv.Itoa(len(body)) {
		return nil, fmt.Errorf("reading its answer of %s bytes: %w after %d", length, io.ErrUnexpectedEOF, len(body))
	}
	if code, _, _ := strings.Cut(status, " "); code != "200" {
		return nil, refusal(status, body)
	}
	return body, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// refusal is the error that an answer holds.
func refusal(status string, body []byte) error {
	var answer struct{ Message string }
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		return fmt.Errorf("it answered %s", status)
	}
	return fmt.Errorf("it answered %s: %s", status, answer.Message)
}

// unavailable says what a failed request means. What ended the run is passed on as it
// is.
func (e *Engine) unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("asking the docker engine: %w", err)
	}
	_, address := e.endpoint.address()
	reason, cure := err.Error(), "docker info shows whether docker works"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason, cure = fmt.Sprintf("the socket %s is not there", address), "start docker, or set DOCKER_HOST or a docker context to where it listens"
	case errors.Is(err, fs.ErrPermission):
		reason, cure = "permission denied", "let your user use docker (on Linux: join the group docker and log in again)"
	case errors.Is(err, syscall.ECONNREFUSED):
		reason, cure = "connection refused", "start docker: nothing listens there"
	case e.endpoint.direct() && errors.Is(err, world.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		reason = "no answer in time"
	}
	return hint.Wrap(&UnavailableError{Host: e.endpoint.Host, Origin: e.endpoint.Origin, Reason: reason, Err: err}, "%s", cure)
}
