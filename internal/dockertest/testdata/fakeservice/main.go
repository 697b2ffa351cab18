// Command fakeservice answers like the programs in the images of a stack, by the name
// it is called by: a database and its pg_isready, an application server, wget, curl,
// servers that answer on some ports, and a few small tools. Tests run whole stacks on
// it where no image can be pulled.
//
// The variable FAKE_MODE makes a server fail: exit (it ends at once), unhealthy (it
// answers 503), crash (it ends some answers after the first). GET /crash ends it, and
// has it end at once when it is started again.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	switch name {
	case "uvicorn":
		return serve(http.HandlerFunc(answer), after(args, "--port", "8000"))
	case "serve":
		return serve(http.HandlerFunc(answer), args...)
	case "postgres":
		return database()
	case "pg_isready":
		return connect(net.JoinHostPort(after(args, "-h", "localhost"), after(args, "-p", "5432")))
	case "wget", "curl":
		return get(args[len(args)-1])
	case "sleep":
		awaitSignal()
		return nil
	case "cat":
		return cat(args)
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
		return nil
	case "sh":
		return shell(os.Stdin)
	}
	return fmt.Errorf("%s: not a name that this program answers to", name)
}

// after is the argument that follows a flag.
func after(args []string, flag, otherwise string) string {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return otherwise
}

// crashed is there once the container was asked to crash.
const crashed = "/crashed"

// answers counts the answers of this process.
var answers atomic.Int32

// answer tells what the service was started with.
func answer(w http.ResponseWriter, r *http.Request) {
	switch n := answers.Add(1); {
	case r.URL.Path == "/crash":
		if err := os.WriteFile(crashed, nil, 0o600); err != nil {
			fmt.Println(err)
		}
		os.Exit(3)
	case os.Getenv("FAKE_MODE") == "unhealthy":
		fmt.Println("refusing", r.URL.Path, "since the tables are missing")
		http.Error(w, "the tables are missing", http.StatusServiceUnavailable)
		return
	case os.Getenv("FAKE_MODE") == "crash" && n > 2:
		fmt.Println("panic: out of luck")
		os.Exit(3)
	}
	env := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	host, _ := os.Hostname()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"status": "ok", "host": host, "args": os.Args, "env": env})
}

// serve answers HTTP on some ports until it is asked to end.
func serve(handler http.Handler, ports ...string) error {
	if os.Getenv("FAKE_MODE") == "exit" {
		fmt.Println("starting up")
		return fmt.Errorf("ImportError: no module named ktrdr")
	}
	if _, err := os.Stat(crashed); err == nil {
		return fmt.Errorf("panic: out of luck")
	}
	failed := make(chan error)
	for _, port := range ports {
		go func() { failed <- http.ListenAndServe(":"+port, handler) }()
	}
	go func() {
		awaitSignal()
		failed <- nil
	}()
	fmt.Println("listening on", strings.Join(ports, ", "))
	return <-failed
}

func awaitSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
}

// database keeps the password of its first start in its volume, as the real one does:
// GET /login?password=… succeeds with that one alone.
func database() error {
	dir := cmp.Or(os.Getenv("PGDATA"), "/var/lib/postgresql/data")
	path := filepath.Join(dir, "password")
	password, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		password = []byte(os.Getenv("POSTGRES_PASSWORD"))
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = os.WriteFile(path, password, 0o600)
		}
	}
	if err != nil {
		return err
	}
	return serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("password") != string(password) {
			http.Error(w, "password authentication failed", http.StatusUnauthorized)
		}
	}), "5432")
}

func connect(address string) error {
	conn, err := net.DialTimeout("tcp", address, 3*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

func get(url string) error {
	response, err := (&http.Client{Timeout: 4 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func cat(paths []string) error {
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		os.Stdout.Write(data)
	}
	return nil
}

// shell knows echo, and exit, which ends it with a code.
func shell(input io.Reader) error {
	for lines := bufio.NewScanner(input); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "echo":
			fmt.Println(rest)
		case "exit":
			var code int
			fmt.Sscan(rest, &code)
			os.Exit(code)
		}
	}
	return nil
}
