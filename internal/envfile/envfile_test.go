package envfile_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/visible"
)

// nasty are values that one reader or the other takes for something else when
// they are written as they are.
var nasty = []string{
	"", " ", "  a  ", "\t", "a b", "a\tb", " leading", "trailing ", "\u00a0nbsp\u00a0", "\u0085next line",
	"$", "$$", "$HOME", "${HOME}", "${HOME:-x}", "a$", "$(id)", "$((1+1))", "cost: 5$ a ${unclosed", "\\$HOME", "\\\\$HOME",
	"#", "#a", "a#b", "a #b", "a  # b",
	"'", "''", "it's", "'quoted'", "it's $HOME", "it's \\n", "it's \"both\"", "'#'", "' #",
	`"`, `""`, `"quoted"`, `a"b`, `"$HOME"`,
	`\`, `\\`, `\\\`, `\\\\`, `a\`, `a\\`, `a\b`, `a\nb`, `\t`, `C:\dir\`, `it's\`, `it's\\`, `\'`, `\\'`, `\"`, `\\"`, `\'"`,
	`\0101`, `\x41`, `\u0041`, `it's \0101 \x41 \u0041 \c \a \e`,
	"`", "`id`", "a`b c", "\\`",
	"=", "a=b", "=a", "a==b", "export", "export A=b", "A: b", ":", "a:b",
	"~", "~/x", "/a:~/b", "*", "?", "[a]", "{a,b}", "a;b", "a&b", "a|b", "a<b>c", "(a)", "!", "!!", "a!b", "^", "-n", "-e", "%s", "%", "+", ",", "@",
	"é", "日本語", "a\u2028b", "\u200b", "😀", "\ufeff", "\x01\x1b[31m\x7f",
	"/home/some one/it's #1 $HOME: \"x\"/slot-1",
	strings.Repeat("it's ", 1000),
}

func TestEncode(t *testing.T) {
	for _, tt := range []struct {
		name string
		vars map[string]string
		want string
	}{
		{"nothing", nil, ""},
		{"sorted", map[string]string{"B": "2", "A": "1", "_1": ""}, "A=1\nB=2\n_1=\n"},
		{"plain", map[string]string{"KTRDR_API_PORT": "8001", "A": "1"}, "A=1\nKTRDR_API_PORT=8001\n"},
		{"by bytes", map[string]string{"a": "1", "B": "2", "A_B": "3", "AB": "4"}, "AB=4\nA_B=3\nB=2\na=1\n"},
		{"empty", map[string]string{"A": ""}, "A=\n"},
		{"safe characters", map[string]string{"A": "/data-1/x_y.z:8000,a@b%c+d=e"}, "A=/data-1/x_y.z:8000,a@b%c+d=e\n"},
		{"space", map[string]string{"A": "a b"}, "A='a b'\n"},
		{"number sign", map[string]string{"A": "a#b"}, "A='a#b'\n"},
		{"dollar", map[string]string{"A": "a$b"}, "A='a$b'\n"},
		{"single quote", map[string]string{"A": `it's $5 \ "x"`}, `A="it's \$5 \\ \"x\""` + "\n"},
		{"backslash at the end", map[string]string{"A": `a b\`}, `A="a b\\"` + "\n"},
		{"two backslashes at the end", map[string]string{"A": `a b\\`}, `A='a b\\'` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := envfile.Encode(tt.vars)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name       string
		key, value string
		want       error
		says       string
	}{
		{"empty key", "", "x", envfile.ErrKey, `""`},
		{"digit first", "1A", "x", envfile.ErrKey, `"1A"`},
		{"hyphen", "A-B", "x", envfile.ErrKey, `"A-B"`},
		{"dot", "a.b", "x", envfile.ErrKey, `"a.b"`},
		{"space", "A B", "x", envfile.ErrKey, `"A B"`},
		{"equals sign", "A=B", "x", envfile.ErrKey, `"A=B"`},
		{"line break in the key", "A\nB", "x", envfile.ErrKey, `"A\nB"`},
		{"letter that isn't ASCII", "É", "x", envfile.ErrKey, `"É"`},
		{"the shell's own", "UID", "1", envfile.ErrKey, "UID"},
		{"bash's own", "BASH_ARGV0", "1", envfile.ErrKey, "BASH_ARGV0"},
		{"line break", "A", "secret\nB=2", envfile.ErrValue, "variable A"},
		{"carriage return", "A", "secret\r", envfile.ErrValue, "line break"},
		{"NUL", "A", "secret\x00", envfile.ErrValue, "NUL"},
		{"not UTF-8", "A", "secret\xff", envfile.ErrValue, "UTF-8"},
		{"quote and backquote", "A", "secret'`", envfile.ErrValue, "backquote"},
		{"backquote and backslash at the end", "A", "secret`\\", envfile.ErrValue, "backquote"},
		{"large", "A", strings.Repeat("secret", envfile.MaxSize/6), envfile.ErrTooLarge, "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := envfile.Encode(map[string]string{tt.key: tt.value, "OTHER": "1"})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %q, %v; want %v", got, err, tt.want)
			}
			if got != nil {
				t.Errorf("got %q beside the error", got)
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q; want it to say %q, and not the value", err, tt.says)
			}
			if tt.want == envfile.ErrTooLarge {
				return
			}
			if h, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); !ok || h.Hint() == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

// TestDotenvReadsBack holds against the library of Compose itself, and against Decode.
func TestDotenvReadsBack(t *testing.T) {
	for _, value := range nasty {
		readBack(t, value)
	}
}

func readBack(t *testing.T, value string) {
	t.Helper()
	// The neighbours notice a value that swallows or adds a line.
	vars := map[string]string{"A": "before", "M": value, "Z": "after"}
	data, err := envfile.Encode(vars)
	if err != nil {
		if !refusable(value) && !errors.Is(err, envfile.ErrTooLarge) {
			t.Errorf("value %q: %v", value, err)
		}
		return
	}
	got, err := dotenv.Parse(strings.NewReader(string(data)))
	if err != nil || !maps.Equal(got, vars) {
		t.Errorf("value %q written as\n%s: dotenv reads %q, %v", value, data, got, err)
	}
	if got, err := envfile.Decode(data); err != nil || !maps.Equal(got, vars) {
		t.Errorf("value %q written as\n%s: Decode reads %q, %v", value, data, got, err)
	}
}

// refusable tells whether Encode may refuse value.
func refusable(value string) bool {
	return strings.ContainsAny(value, "\x00\r\n") || strings.ToValidUTF8(value, "") != value ||
		strings.Contains(value, "`") && (strings.Contains(value, "'") || strings.HasSuffix(value, `\`))
}

func TestShellReadsBack(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "dash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			if shell == "sh" {
				t.Fatal("no sh in PATH")
			}
			continue
		}
		t.Run(shell, func(t *testing.T) {
			for _, value := range append(nasty, "\x1b[2J'`\\", "\u202e%d\x7f1", "\t\U000e0041\u009b") {
				for name, write := range map[string]func(map[string]string) ([]byte, error){"Encode": envfile.Encode, "Export": envfile.Export} {
					readsBack(t, path, value, name, write)
				}
			}
		})
	}
}

// readsBack holds against a shell what writes a value for it.
func readsBack(t *testing.T, shell, value, name string, write func(map[string]string) ([]byte, error)) {
	t.Helper()
	data, err := write(map[string]string{"A": "before", "M": value, "Z": "after"})
	if err != nil {
		return // TestDotenvReadsBack checks that it may be refused
	}
	if name == "Export" && visible.Text(string(data)) != string(data) {
		t.Errorf("value %q is exported as\n%q, which can't be printed", value, data)
	}
	source := exec.Command(shell, "-c", `set -a; . ./env || exit 1; exec "$PRINTENV" -0`)
	source.Dir = t.TempDir()
	source.Env = []string{"PRINTENV=" + lookPath(t, "env"), "HOME=/somewhere"}
	if err := os.WriteFile(filepath.Join(source.Dir, "env"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := source.CombinedOutput()
	if err != nil {
		t.Errorf("value %q written by %s as\n%s: %v: %s", value, name, data, err, out)
		return
	}
	if got := parseEnviron(string(out)); got["M"] != value || got["A"] != "before" || got["Z"] != "after" {
		t.Errorf("value %q written by %s as\n%s: %s reads %q", value, name, data, shell, got)
	}
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func parseEnviron(out string) map[string]string {
	vars := map[string]string{}
	for entry := range strings.SplitSeq(out, "\x00") {
		if key, value, ok := strings.Cut(entry, "="); ok {
			vars[key] = value
		}
	}
	return vars
}

// TestShellsKeepOtherNames checks the list of names that are refused: those must
// really be lost in bash, and others come back.
func TestShellsKeepOtherNames(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	names, err := exec.Command(bash, "--norc", "--noprofile", "-c", "compgen -v; echo RANDOM SRANDOM HISTCMD PIPESTATUS LC_ALL KTRDR_API_PORT").Output()
	if err != nil {
		t.Skipf("this bash lists no variables: %v", err)
	}
	for _, name := range strings.Fields(string(names)) {
		data, err := envfile.Encode(map[string]string{name: "C"})
		if err != nil {
			continue
		}
		source := exec.Command(bash, "--norc", "--noprofile", "-c", `. ./env || exit 1; printf %s "${!1}"`, "bash", name)
		source.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(source.Dir, "env"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := source.CombinedOutput(); err != nil || string(out) != "C" {
			t.Errorf("variable %s: bash reads %q, %v; want %q, or it refused by Encode", name, out, err, "C")
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, value := range nasty {
		f.Add(value)
	}
	f.Fuzz(readBack)
}
