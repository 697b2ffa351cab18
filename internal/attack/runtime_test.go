//go:build linux

package attack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script makes attack.star.
func script(text string) func(*testing.T, string) {
	return scripts(map[string]string{"attack.star": text})
}

// scripts makes several files.
func scripts(texts map[string]string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		for name, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// inFunction makes statements the body of a function that is called, since loops stand in
// functions alone.
func inFunction(body string) string {
	return "def main():\n    " + strings.ReplaceAll(body, "\n", "\n    ") + "\n\nmain()\n"
}

// runtimeAttacks want time, memory or depth while they run.
func runtimeAttacks() []attack {
	var all []attack
	add := func(name, text string, code int, says string) {
		all = append(all, attack{name, script(text), code, says})
	}
	body := func(name, text string, code int, says string) { add(name, inFunction(text), code, says) }

	body("an endless loop", "for _ in range(10000000000):\n    pass", 124, "timed out")
	body("loops in loops", "for _ in range(1000000):\n    for _ in range(1000000):\n        pass", 124, "timed out")
	body("an endless comprehension", "return [1 for _ in range(1000000000) for _ in range(1000000000) if False]", 124, "timed out")
	body("a comprehension of a dict", "return {1: i for i in range(10000000000)}", 124, "timed out")
	body("calls in a loop", "f = lambda x: x\nfor i in range(10000000000):\n    f(i)", 124, "timed out")
	body("a list of all numbers", "return [i for i in range(10000000000)]", 124, "timed out|memory")
	body("a dict of all numbers", "return {i: i for i in range(10000000000)}", 124, "timed out|memory")
	body("a text that doubles", "s = 'a'\nfor _ in range(64):\n    s = s + s", -1, "error: ")
	body("a list that doubles", "s = [1]\nfor _ in range(64):\n    s = s + s", -1, "error: ")
	body("a list that is extended by itself", "s = [1]\nfor _ in range(64):\n    s.extend(s)", -1, "error: ")
	body("a table of a gigabyte", "return ['a' * (1 << 28) + str(i) for i in range(60)]", -1, "error: ")
	body("a number squared", "n = 3\nfor _ in range(40):\n    n = n * n", -1, "error: ")
	body("a number as text", "n = 3\nfor _ in range(22):\n    n = n * n\nreturn str(n)", -1, "")
	body("a number to be divided", "n = 3\nfor _ in range(22):\n    n = n * n\nfor i in range(1000):\n    n // (n - i)", -1, "")
	body("a text to be split", "s = 'a ' * (1 << 27)\nreturn [s.split(' ') for _ in range(10)]", -1, "error: ")
	body("a text to be replaced", "s = 'a' * (1 << 20)\nreturn s.replace('a', s)", -1, "error: ")
	body("a text to be joined", "s = 'a' * (1 << 24)\nreturn s.join(['b'] * (1 << 12))", -1, "error: ")
	body("a text to be formatted", "s = 'a' * (1 << 24)\nreturn ('%s' * 4096) % tuple([s] * 4096)", -1, "error: ")
	body("a text with fields", "s = 'a' * (1 << 24)\nreturn ('{0}' * 4096).format(s)", -1, "error: ")
	add("a huge list", "x = [0] * (1 << 60)\n", 1, "error: .*(repeat|exce)")
	add("a huge text", "x = 'a' * (1 << 60)\n", 1, "error: .*(repeat|exce)")
	add("a huge shift", "x = 1 << (1 << 40)\n", 1, "error: .*out of range")
	add("a list of a range", "x = list(range(1 << 60))\n", -1, "at most")
	add("a tuple of a range", "x = tuple(range(1 << 60))\n", -1, "at most")
	add("a set of a range", "x = set(range(1 << 60))\n", -1, "at most")
	add("a range counted", "x = enumerate(range(1 << 60))\n", -1, "at most")
	add("a range sorted", "x = sorted(range(1 << 60))\n", -1, "at most")
	add("a range backwards", "x = reversed(range(1 << 60))\n", -1, "at most")
	add("ranges zipped", "x = zip(range(1 << 60), range(1 << 60))\n", -1, "at most")
	add("the greatest of a range", "x = max(range(1 << 60))\n", -1, "at most|timed out")

	body("recursion", "def f():\n    f()\nf()", -1, "recursive|undefined|referenced")
	add("recursion at the top", "def f():\n    f()\n\nf()\n", 1, "calls itself|recursi")
	add("recursion through others", "def f():\n    g()\n\ndef g():\n    h()\n\ndef h():\n    f()\n\nf()\n", 1, "calls itself|recursi")
	add("recursion through a list", "all = []\n\ndef f():\n    all[0]()\n\ndef main():\n    them = []\n    g = lambda: them[0]()\n    them.append(g)\n    g()\n\nmain()\n", 1, "calls itself|recursi")
	add("a closure that refers to itself", "def mk():\n    def f():\n        return f\n    return f\n\nx = mk()\n", -1, "")
	add("closures that refer to each other", "def mk():\n    all = []\n    def f():\n        return (all, g)\n    def g():\n        return (all, f)\n    all.append(f)\n    all.append(g)\n    return f\n\nx = mk()\n", -1, "")
	add("closures in each other", inFunction("f = lambda: 1\nfor _ in range(1000000):\n    f = (lambda g: lambda: g())(f)\nreturn f")+"x = main()\n", -1, "")
	add("calls a million deep", inFunction("f = lambda: 1\nfor _ in range(1000000):\n    f = (lambda g: lambda: g())(f)\nreturn f()"), -1, "error: ")
	add("a list in itself", inFunction("x = []\nx.append(x)\nprint(x)\nreturn x == x"), -1, "")
	add("a dict in itself", inFunction("x = {}\nx['a'] = x\nprint(x, json.encode(x))"), 1, "error: .*cycle|contains itself")
	add("a list in itself, kept", "x = []\nx.append(x)\ny = {1: x}\nx.append(y)\nprint(str(x))\n", -1, "")
	deep := "x = []\nfor _ in range(1500000):\n    x = [x]\n"
	body("a deep list as text", deep+"return str(x)", -1, "")
	body("a deep list printed", deep+"print(x)", -1, "")
	body("a deep list as JSON", deep+"return json.encode(x)", -1, "")
	body("a deep list compared", deep+"return x == [x]", -1, "")
	body("a deep tuple as a key", "x = ()\nfor _ in range(1500000):\n    x = (x,)\nreturn {x: 1}", -1, "")
	body("a deep struct", "x = None\nfor _ in range(1500000):\n    x = struct(x = x)\nreturn str(x)", -1, "")
	body("a deep list as a step's result", deep+"step('deep', lambda: x)", -1, "")
	body("a deep list as evidence", deep+"check('deep', lambda: evidence('x', x))", -1, "")
	body("a deep list that fails", deep+"fail(x)", -1, "error: ")
	add("a deep list, kept", "def main():\n    x = []\n    for _ in range(1500000):\n        x = [x]\n    return x\n\nx = main()\n", -1, "")
	body("deep JSON", "return json.decode('[' * 1000000)", 1, "error: ")
	body("deep JSON that ends", "return json.decode('[' * 1000000 + ']' * 1000000)", -1, "")
	body("deep YAML", "return yaml.decode('[' * 100000)", 1, "error: ")
	body("deep YAML by indentation", "return yaml.decode('\\n'.join([' ' * i + 'a:' for i in range(3000)]))", -1, "")
	body("YAML that laughs", "return yaml.decode('a0: &a0 [x, x]\\n' + '\\n'.join(['a%d: &a%d [*a%d, *a%d, *a%d, *a%d]' % (i + 1, i + 1, i, i, i, i) for i in range(30)]))", -1, "")
	body("JSON of a huge number", "return json.decode('9' * (1 << 22))", -1, "")
	body("a huge number read", "return int('9' * (1 << 22))", -1, "")
	body("a text sorted", "return sorted(['a' * 1000 + str(i % 7) for i in range(200000)])", -1, "")

	body("branches in branches", "f = lambda x: 1\nfor _ in range(1000):\n    f = (lambda g: lambda x: parallel([1, 2], g))(f)\nreturn f(1)", -1, "error: ")
	body("a million branches", "parallel(range(1000000), lambda x: x, limit = 1000000)", -1, "error: ")
	body("branches that don't end", "parallel(range(100), lambda x: [1 for _ in range(10000000000) if False], limit = 100)", 124, "timed out")
	body("a wait for ever", "wait_until(lambda: False, timeout = '10000h')", 124, "timed out")
	body("a pause for ever", "wait_until(lambda: False, timeout = '10000h', every = '9999h')", 124, "timed out")
	body("retries for ever", "step('x', lambda: fail('no'), retries = 1000000000, backoff = '1ms')", -1, "error: ")
	body("steps without end", "for i in range(10000000):\n    step('s%d' % i, lambda: None)", 124, "timed out")
	body("checks without end", "for i in range(10000000):\n    check('s%d' % i, lambda: None)", 124, "timed out")
	body("steps in steps", "f = lambda: 1\nfor i in range(3000):\n    f = (lambda g, i: lambda: step('s%d' % i, g))(f, i)\nreturn f()", -1, "")
	body("attempts in attempts", "f = lambda: fail('no')\nfor i in range(3000):\n    f = (lambda g: lambda: attempt(g))(f)\nreturn f()", -1, "")
	body("an undo that doesn't end", "step('x', lambda: 1, undo = lambda _: [1 for _ in range(10000000000) if False])\nwait_until(lambda: False, timeout = '100h')", 124, "timed out")
	body("a process that doesn't end", "proc.run(['sleep', '10000'])", 124, "timed out")
	body("a process that prints for ever", "proc.run(['yes'])", -1, "error: ")
	body("a process that prints zeros", "proc.run(['cat', '/dev/zero'], quiet = True)", -1, "error: ")
	body("a process that ignores signals", "proc.run(['sh', '-c', 'trap \"\" TERM INT HUP; while :; do sleep 1; done'])", 124, "timed out")
	body("a million lines printed", "for i in range(1000000):\n    print('x')", -1, "x")
	body("a line of 20 megabytes", "print('x' * 20000000)", -1, "x")
	body("a failure of ten megabytes", "fail('x' * 10000000)", 1, "error: x")
	body("evidence of ten megabytes", "check('x', lambda: evidence('x', 'x' * 10000000))", -1, "")
	body("a name of ten megabytes", "step('x' * 10000000, lambda: None)", -1, "")
	body("a log of ten megabytes", "log.warn('x' * 10000000)", -1, "")
	body("a device of zeros", "fs.read('/dev/zero')", -1, "error: ")
	body("a device that gives nothing", "fs.read('/dev/tty')", -1, "error: ")
	body("a path of a megabyte", "fs.read('x/' * 500000)", -1, "error: ")
	all = append(all, attack{"a load of itself", script("load('./attack.star', 'x')\n"), 2, "cycle"})
	all = append(all, attack{"loads in a circle", scripts(map[string]string{"attack.star": "load('./a.star', 'x')\n", "a.star": "load('./b.star', 'x')\n", "b.star": "load('./a.star', 'x')\n"}), 2, "cycle"})
	all = append(all, attack{"loads of much", scripts(map[string]string{"attack.star": strings.Repeat("load('./a.star', 'x')\n", 10000), "a.star": "x = 1\n# " + strings.Repeat("a", 1<<20-100)}), -1, "error: "})
	return all
}
