//go:build linux

package attack

import "strconv"

// unseen is characters that rewrite a terminal, hide text, or change its direction.
func unseen() string {
	return "<\x1b[2J\x1b]0;x\a\b\x7f\u009b2J\u202e\u2066\u200b\ufeff\u2028\u2029\U000e0041>"
}

// terminalAttacks want the terminal, or a reader's eyes.
func terminalAttacks() []attack {
	quoted := strconv.QuoteToASCII(unseen())
	texts := map[string]string{
		"printed":           "print(TEXT)\n",
		"failed with":       "fail(TEXT)\n",
		"logged":            "log.warn(TEXT)\nlog.error(TEXT, {TEXT: TEXT})\n",
		"a step's name":     "step(TEXT, lambda: fail(TEXT))\n",
		"a check's name":    "check(TEXT, lambda: evidence(TEXT, TEXT))\nfail(TEXT)\n",
		"a path":            "fs.read(TEXT)\n",
		"a program":         "proc.run([TEXT])\n",
		"a process's words": "proc.run(['printf', '%s', TEXT])\nproc.run(['sh', '-c', 'printf %s \"$1\" >&2; exit 1', 'sh', TEXT])\n",
		"a key":             "{}[TEXT]\n",
		"an attribute":      "getattr(struct(), TEXT)\n",
		"a label":           "load(" + quoted + ", 'x')\n",
		"a loaded name":     "load('@kinfra//pool.star', x = " + quoted + ")\n",
		"JSON":              "print(json.encode(TEXT))\njson.decode(TEXT)\n",
		"YAML":              "yaml.decode(TEXT + ': [')\n",
		"a command":         "workflow(command = " + quoted + ", run = lambda args: None)\n",
		"a flag":            "workflow(command = 'attack', run = lambda args: None, flags = {TEXT: flag.string(help = TEXT)})\n",
		"a choice":          "workflow(command = 'attack', run = lambda args: None, flags = {'x': flag.string(choices = [TEXT], help = TEXT)}, args = [arg.string('y')])\n",
		"a question":        "ask.confirm(TEXT)\nask.text(TEXT)\n",
		"a secret":          "print(secret('env://' + TEXT))\n",
		"a result":          "def f():\n    return TEXT\nstep('x', f)\nprint(repr(TEXT), [TEXT])\n",
	}
	var all []attack
	for name, text := range texts {
		all = append(all, attack{"unseen characters as " + name, script("\"\"\"Help.\"\"\"\nTEXT = " + quoted + "\n" + text), -1, ""})
	}
	raw := "<\x1b[2J\u202e\u200b\u2066>"
	for name, text := range map[string]string{
		"docstring":  "\"\"\"" + raw + "\n\n" + raw + "\"\"\"\nworkflow(command = 'attack', run = lambda args: None)\n",
		"comment":    "x = 1 # " + raw + "\n" + "y=undefined # " + raw + "\n",
		"identifier": "a\u202eb = 1\n",
		"text":       "x = '" + raw + "'\ny=undefined\n",
		"statement":  "\x1b[2J = 1\n",
		"suppressed": "x = 1 # kinfra: ignore[" + raw + "] because " + raw + "\n",
	} {
		all = append(all, attack{"unseen characters in the source as " + name, script(text), -1, ""})
	}
	return all
}
