package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
)

// Command is a command that a file of the layers declares, as far as it is known
// without running the file.
type Command struct {
	Words string // "sandbox provision"
	Help  string // the file's docstring
	File  layer.File
}

// Summary is the first line of the help.
func (c Command) Summary() string { return summary(c.Help) }

// Commands finds the commands that the layers declare, in the order of the layers,
// and what keeps files from being read. Of two files of one name, and of two
// commands of the same words, the first layer's counts.
func Commands(layers *layer.Stack) (commands []Command, problems []error) {
	return find(layers, nil)
}

// Find finds the one command whose words begin the arguments, if a script declares
// it; the longest where there are several.
func Find(layers *layer.Stack, args []string) (Command, bool) {
	const mostWords = 4
	var wanted []string
	for n := range min(len(args), mostWords) {
		if !isWord(args[n]) {
			break
		}
		wanted = append(wanted, strings.Join(args[:n+1], " "))
	}
	if len(wanted) == 0 {
		return Command{}, false
	}
	commands, _ := find(layers, wanted)
	for _, words := range slices.Backward(wanted) {
		if i := slices.IndexFunc(commands, func(c Command) bool { return c.Words == words }); i >= 0 {
			return commands[i], true
		}
	}
	return Command{}, false
}

// find is Commands; or, where some are wanted, it may leave out others. It then looks
// only into those of the binary's own files that name one, beginning with the likely
// one, and no further than the last of wanted: for a process of a few milliseconds it
// matters that it reads one file instead of all.
func find(layers *layer.Stack, wanted []string) (commands []Command, problems []error) {
	seen, words := map[string]bool{}, map[string]Command{}
	for _, l := range layers.Layers {
		names, err := l.Scripts()
		if err != nil {
			problems = append(problems, err)
			continue
		}
		choosing := wanted != nil && l == layers.Builtin
		if choosing {
			likelyFirst(names, wanted[len(wanted)-1])
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			file, err := l.Read(name)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			if choosing && !mentions(file, wanted) {
				continue
			}
			found, errs := declared(file, words)
			commands, problems = append(commands, found...), append(problems, errs...)
			if wanted == nil {
				continue
			}
			if _, enough := words[wanted[len(wanted)-1]]; enough {
				return commands, problems
			}
		}
	}
	return commands, problems
}

// likelyFirst puts the file first that is named like the last words of a command:
// registry_restore.star for "sandbox registry restore".
func likelyFirst(names []string, command string) {
	i := slices.IndexFunc(names, func(name string) bool {
		last := strings.ReplaceAll(strings.TrimSuffix(name, ".star"), "_", " ")
		return strings.HasSuffix(" "+command, " "+last)
	})
	if i > 0 {
		names[0], names[i] = names[i], names[0]
	}
}

// mentions tells whether one of some commands stands in a file as a literal.
func mentions(file layer.File, commands []string) bool {
	return slices.ContainsFunc(commands, func(words string) bool {
		return bytes.Contains(file.Data, []byte(`"`+words+`"`))
	})
}

// declared is the commands of a file that no other has declared before.
func declared(file layer.File, words map[string]Command) (commands []Command, problems []error) {
	found := scan(file.Data)
	if found.computed {
		problems = append(problems, fmt.Errorf("%s: the command of a workflow is not a string literal, so it can't be found", file.Path()))
	}
	for _, w := range found.commands {
		if err := checkWords(w); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file.Path(), err))
			continue
		}
		if first, twice := words[w]; twice {
			if first.File.Layer == file.Layer {
				problems = append(problems, fmt.Errorf("%s: the command %q is declared by %s, too", file.Path(), w, first.File.Path()))
			}
			continue
		}
		words[w] = Command{w, found.doc, file}
		commands = append(commands, words[w])
	}
	return commands, problems
}

// Declared is the commands that a file declares, found without running it.
func Declared(file layer.File) []string { return scan(file.Data).commands }

// Literals is the texts that a file gives for a parameter of some name, in any call, as
// string literals: name = "text". It is found without running the file, so what is
// computed isn't among them.
func Literals(file layer.File, param string) []string {
	var all []string
	if !bytes.Contains(file.Data, []byte(param)) {
		return nil
	}
	s := scanner{src: string(file.Data)}
	for tok := s.next(); tok.kind != endToken; tok = s.next() {
		if tok.kind == wordToken && tok.text == param {
			if text, literal, _ := s.argument(); literal {
				all = append(all, text)
			}
		}
	}
	return all
}

// scanned is what a file declares.
type scanned struct {
	doc      string
	commands []string
	computed bool // a workflow's command isn't a string literal
}

// scan finds the docstring and the workflows of a file by its tokens alone, which
// takes microseconds where parsing takes a fraction of a millisecond.
func scan(src []byte) scanned {
	var found scanned
	s := scanner{src: string(src)}
	first := true
	last := strings.LastIndex(s.src, "workflow")
	for tok := s.next(); tok.kind != endToken; tok = s.next() {
		if first && tok.kind == stringToken {
			found.doc = Dedent(tok.value())
		}
		if first = false; s.pos > last+len("workflow") {
			break
		}
		if tok.kind == wordToken && tok.text == "workflow" && tok.column == 0 && s.opens() {
			if command, literal := s.command(); literal {
				found.commands = append(found.commands, command)
			} else {
				found.computed = true
			}
		}
	}
	return found
}

type tokenKind int

const (
	endToken tokenKind = iota
	wordToken
	stringToken
	otherToken // one byte
)

type token struct {
	kind   tokenKind
	text   string
	column int
	source string // of a string: with its quotes
}

// value is what a string stands for. Escapes and the like, which few texts have, are
// left to the parser.
func (t token) value() string {
	if strings.ContainsAny(t.text, "\\\r") || !utf8.ValidString(t.text) {
		if e, err := dialect().ParseExpr("", t.source, 0); err == nil {
			if literal, ok := e.(*syntax.Literal); ok {
				return literal.Value.(string)
			}
		}
	}
	return t.text
}

type scanner struct {
	src       string
	pos       int
	lineStart int
}

// opens tells whether a call's parenthesis follows.
func (s *scanner) opens() bool {
	return strings.HasPrefix(strings.TrimLeft(s.src[s.pos:], " \t"), "(")
}

// command reads a call's arguments up to its closing parenthesis, and gives the one
// named command.
func (s *scanner) command() (value string, literal bool) {
	depth := 0
	for tok := s.next(); tok.kind != endToken; tok = s.next() {
		switch {
		case tok.kind == otherToken && strings.Contains("([{", tok.text):
			depth++
		case tok.kind == otherToken && strings.Contains(")]}", tok.text):
			if depth--; depth == 0 {
				return "", false
			}
		case depth == 1 && tok.kind == wordToken && tok.text == "command":
			if value, literal, given := s.argument(); given {
				return value, literal
			}
		}
	}
	return "", false
}

// argument reads what follows a name. If it is an equals sign, an argument is given; its
// value is known if it is a string literal and nothing else.
func (s *scanner) argument() (value string, literal, given bool) {
	if equals := s.next(); equals.text != "=" {
		return "", false, false
	}
	text := s.next()
	end := s.next()
	return text.value(), text.kind == stringToken && (end.text == "," || end.text == ")"), true
}

func (s *scanner) next() token {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == '\n' || c == '\r':
			s.pos++
			s.lineStart = s.pos
		case c == ' ' || c == '\t':
			s.pos++
		case c == '#':
			n := strings.IndexAny(s.src[s.pos:], "\r\n")
			if n < 0 {
				return token{kind: endToken}
			}
			s.pos += n
		case c == '"' || c == '\'':
			return s.quoted(stringToken, s.pos)
		case isLetter(c):
			start, column := s.pos, s.pos-s.lineStart
			for s.pos < len(s.src) && (isLetter(s.src[s.pos]) || '0' <= s.src[s.pos] && s.src[s.pos] <= '9') {
				s.pos++
			}
			word := s.src[start:s.pos]
			if s.pos < len(s.src) && (s.src[s.pos] == '"' || s.src[s.pos] == '\'') {
				switch word {
				case "r":
					return s.quoted(stringToken, start)
				case "b", "rb": // bytes
					return s.quoted(otherToken, start)
				}
			}
			return token{kind: wordToken, text: word, column: column}
		default:
			s.pos++
			return token{kind: otherToken, text: s.src[s.pos-1 : s.pos], column: s.pos - 1 - s.lineStart}
		}
	}
	return token{kind: endToken}
}

// quoted reads a string, or bytes, whose prefix begins at start. Escapes matter only
// for where it ends.
func (s *scanner) quoted(kind tokenKind, start int) token {
	column := start - s.lineStart
	quote := s.src[s.pos : s.pos+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.src[s.pos:], long) {
		quote = long
	}
	s.pos += len(quote)
	inside := s.pos
	if n := strings.Index(s.src[inside:], quote); n >= 0 && strings.IndexByte(s.src[inside:inside+n], '\\') < 0 {
		s.pos = inside + n // no escape, so there is no need to look at each byte
		if line := strings.LastIndexByte(s.src[inside:s.pos], '\n'); line >= 0 {
			s.lineStart = inside + line + 1
		}
	}
	for s.pos < len(s.src) && !strings.HasPrefix(s.src[s.pos:], quote) {
		if s.src[s.pos] == '\\' {
			s.pos++
		}
		if s.pos < len(s.src) && s.src[s.pos] == '\n' {
			s.lineStart = s.pos + 1
		}
		s.pos++
	}
	end := min(s.pos, len(s.src))
	s.pos = min(end+len(quote), len(s.src))
	return token{kind, s.src[inside:end], column, s.src[start:s.pos]}
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

// Dedent takes from a docstring the indentation that its lines share.
func Dedent(doc string) string {
	lines := strings.Split(strings.TrimSpace(doc), "\n")
	shared := -1
	for _, line := range lines[1:] {
		if text := strings.TrimLeft(line, " \t"); text != "" && (shared < 0 || len(line)-len(text) < shared) {
			shared = len(line) - len(text)
		}
	}
	for i, line := range lines {
		if i > 0 {
			lines[i] = strings.TrimRight(line[min(max(shared, 0), len(line)):], " \t\r")
		}
	}
	return strings.Join(lines, "\n")
}
