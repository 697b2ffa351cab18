//go:build linux

package attack

import (
	"strconv"
	"strings"
)

// sourceSize is how large most sources are. The limit of a file is 1 MiB; that larger ones
// take no more time than their size makes likely, tests of engine/lint hold.
const sourceSize = 96 << 10

func repeat(text string) string { return strings.Repeat(text, sourceSize/len(text)) }

// numbered repeats a text, in which N is replaced by a number and M by the next.
func numbered(format string, size int) string {
	var b strings.Builder
	for n := 100_000; b.Len() < size; n++ {
		b.WriteString(strings.NewReplacer("N", strconv.Itoa(n), "M", strconv.Itoa(n+1)).Replace(format))
	}
	return b.String()
}

// nested puts a text between as many opening and closing ones as there is room for.
func nested(before, text, after string) string {
	n := sourceSize / len(before+after)
	return strings.Repeat(before, n) + text + strings.Repeat(after, n)
}

// indented is blocks in each other, as deep as there is room for.
func indented(head, body string) string {
	var b strings.Builder
	depth := 1
	for ; b.Len() < sourceSize; depth++ {
		b.WriteString(strings.Repeat(" ", depth) + head + "\n")
	}
	return b.String() + strings.Repeat(" ", depth) + body + "\n"
}

// sourceAttacks want time, memory or depth of whatever reads them.
func sourceAttacks() []attack {
	var all []attack
	add := func(name, text string, code int, says string) {
		all = append(all, attack{"a source of " + name, script(text), code, says})
	}
	broken := func(name, text, says string) { add(name, text, 2, says) }
	any := func(name, text string) { add(name, text, -1, "") }

	broken("a million brackets", "x = "+strings.Repeat("(", 500_000)+strings.Repeat(")", 500_000)+"\n", "excessive nesting")
	broken("open brackets", repeat("("), "excessive nesting")
	broken("closing brackets", repeat(")"), "error: ")
	broken("lists in lists", "x = "+nested("[", "", "]")+"\n", "excessive nesting")
	broken("dicts in dicts", "x = "+nested("{1:", "1", "}")+"\n", "excessive nesting")
	broken("calls in calls", "x = "+nested("str(", "1", ")")+"\n", "excessive nesting")
	broken("lambdas in lambdas", "x = "+repeat("lambda: ")+"1\n", "excessive nesting")
	broken("conditions in conditions", "x = "+repeat("1 if 0 else ")+"1\n", "excessive nesting")
	broken("comprehensions in comprehensions", "x = "+nested("[", "1", " for a in []]")+"\n", "excessive nesting")
	broken("not not not", "x = "+repeat("not ")+"1\n", "excessive nesting")
	broken("minus minus minus", "x = "+repeat("-")+"1\n", "excessive nesting")
	any("blocks in blocks", "def f(x):\n"+indented("if x:", "pass"))
	any("loops in loops", "def f(x):\n"+indented("for y in x:", "step('a', f)")+"f([1])\n")
	any("functions in functions", "def f():\n"+indented("def g():", "pass")+"f()\n")
	any("1+1+1", "x = 1"+repeat("+1")+"\n")
	any("text + text", "x = ''"+repeat(" + ''")+"\n")
	any("lists added up", "x = []"+repeat(" + [1]")+"\n")
	any("1 and 1", "x = 1"+repeat(" and 1")+"\n")
	any("attributes", "x = fs"+repeat(".b")+"\n")
	any("calls", "x = str"+repeat("()")+"\n")
	any("elements", "x = [1]"+repeat("[0]")+"\n")
	any("slices", "x = 'a'"+repeat("[0:1]")+"\n")
	any("elif", "def f(x):\n    if x:\n        pass\n"+repeat("    elif x:\n        pass\n")+"f(0)\n")
	any("clauses", "x = [1 "+repeat("for a in [1] ")+"]\n")
	any("captured variables", "def f():\n"+numbered("    aN = 1\n", sourceSize/2)+"    def g():\n        return ["+numbered("aN,", sourceSize/2)+"]\n    return g\nf()()\n")
	any("closures with many variables", "x = "+numbered("(lambda aN: ", 10_000)+"["+numbered("aN,", 5000)+"]"+strings.Repeat(")", 600)+"\n")
	any("functions that call the next", numbered("def fN():\n    return fM()\n", sourceSize)+"f100000()\n")
	any("functions that call each other", "def start():\n    return f100000()\n"+numbered("def fN():\n    return [fM, start()]\n", sourceSize))
	any("parameters", "def f("+numbered("aN, ", sourceSize/2)+"):\n    pass\n"+strings.Repeat("f()\n", 10_000))
	any("arguments", "x = struct("+numbered("aN = 1, ", sourceSize)+")\n")
	any("positional arguments", "x = max("+repeat("1, ")+")\n")
	any("variables", numbered("aN = 1\n", sourceSize))
	any("variables that name the last", "a100000 = 1\n"+numbered("aM = aN\n", sourceSize))
	any("unknown names", repeat("x\n"))
	any("unknown names, all different", "x = ["+numbered("aN, ", sourceSize)+"]\n")
	any("semicolons", "x = 1;"+repeat(";")+"\n")
	any("statements in a line", repeat("x=1;")+"\n")
	any("elements of a list", "x = ["+repeat("1, ")+"]\n")
	any("entries of a dict", "x = {"+numbered("'aN': 1, ", sourceSize)+"}\n")
	any("the same key", "x = {"+repeat("'a': 1, ")+"}\n")
	any("a long text", "x = '"+repeat("a")+"'\n")
	any("a long name", repeat("abc")+" = 1\n")
	any("a long name, used often", "def "+strings.Repeat("a", 100_000)+"():\n    pass\ng = "+strings.Repeat("a", 100_000)+"\n"+strings.Repeat("g(1)\n", 10_000))
	any("a long comment", "# "+repeat("a")+"\n")
	any("comments", repeat("# a\n"))
	any("comments behind", repeat("x=1 # a\n"))
	any("a long number", "x = "+repeat("9")+"\nprint(x)\n")
	any("a long hexadecimal number", "x = 0x"+repeat("f")+"\nprint(x)\n")
	any("a long fraction", "x = 0."+repeat("0")+"1\n")
	any("a huge exponent", "x = 1e999999999\n")
	any("a long line that fails", "x = 1; "+repeat("y = 1; ")+"fail('x')\n")
	any("syntax errors", repeat("x = = 1\n"))
	any("words of Python", repeat("import x\nclass x:\n    pass\ntry:\n    raise x\n"))
	any("suppressing comments", "def f():\n"+repeat("    # kinfra: ignore[no-effect] because of it\n")+"    1\n")
	any("suppressed rules", "# kinfra: ignore["+repeat("a,")+"] because of it\nx = 1\n")
	any("conversions", "x = '"+repeat("%s")+"' % (1,)\n")
	any("fields", "x = '"+repeat("{}")+"'.format(1)\n")
	any("texts side by side", "x = "+repeat("'a' ")+"\n")
	any("quotes", "x = '"+repeat("\"")+"'\n")
	any("escapes", "x = '"+repeat("\\\\")+"'\n")
	any("lines that go on", "x = 1 "+repeat("\\\n")+"+ 1\n")
	any("three quotes", repeat("'''"))
	any("texts that don't end", repeat("'\n"))
	any("a text that doesn't end", "x = '''"+repeat("a\n"))
	any("a backslash at its end", "x = 1\\")
	any("a wrong escape", "x = '\\q\\xzz\\u12\\UFFFFFFFF\\400'\n")
	any("surrogates", "x = '\\ud800'\n")
	any("zeros", repeat("\x00"))
	any("zeros in a text", "x = 'a\x00b'\nprint(x)\nfail(x)\n")
	any("a mark of the byte order", "\ufeffx = 1\n")
	any("marks of the byte order", "x = 1\n\ufeff\ufeffy = 1\n")
	any("16 bits a character", "\xff\xfex\x00 \x00=\x00 \x001\x00\n\x00")
	any("no UTF-8", "x = '\xff\xfe\xc0\x80\xed\xa0\x80'\nprint(x)\nfail(x)\n")
	any("the byte F9", "\"\\\xf9\"\n")
	any("no UTF-8 in names", "\xff\xfe = 1\n")
	any("returns", repeat("x = 1\r"))
	any("returns and newlines", repeat("x = 1\r\n"))
	any("tabs and blanks", "def f():\n\tx = 1\n        y = 2\n\t  z = 3\n")
	any("form feeds", repeat("\f\v\n"))
	any("blanks", repeat(" "))
	any("empty lines", repeat("\n"))
	any("nothing", "")
	any("workflows", "'''Help.'''\n"+numbered("workflow(command = 'attack N', run = f)\n", sourceSize/2)+"def f(a):\n    step('x', f)\n"+strings.Repeat("    fs.write('x', 'y')\n", 5000))
	any("workflows that don't end", repeat("workflow("))
	any("commands that don't end", repeat("workflow(command='"))
	any("a command of many words", "workflow(command = 'attack"+repeat(" a")+"', run = lambda args: None)\n")
	any("flags", "'''Help.'''\nworkflow(command = 'attack', run = lambda args: None, flags = {"+numbered("'aN': flag.bool(), ", sourceSize)+"})\n")
	any("choices", "'''Help.'''\nworkflow(command = 'attack', run = lambda args: None, flags = {'a': flag.string(choices = ["+numbered("'aN', ", sourceSize)+"])})\n")
	any("help", "'''"+repeat("help ")+"'''\nworkflow(command = 'attack', run = lambda args: None)\n")
	any("lines of help", "'''"+repeat("a\n   ")+"'''\nworkflow(command = 'attack', run = lambda args: None)\n")
	any("documented functions", numbered("def fN(a, b = 1):\n    '''Does.\n\n    Args:\n      a: b\n    '''\n", sourceSize))
	any("loads", repeat("load('./lib.star', 'a')\n"))
	any("loaded names", "load('@kinfra//pool.star', "+numbered("'bN', ", sourceSize)+")\n")
	any("steps", "def f(x):\n    for y in x:\n"+numbered("        step('sN', f)\n        if y:\n            continue\n", sourceSize))
	return all
}
