package stack

import (
	"slices"
	"strings"
)

// The flags of `docker compose logs` and of `docker compose exec`, and whether each takes a
// value.
var (
	logsFlags = map[string]bool{
		"--follow": false, "-f": false, "--index": true, "--no-color": false, "--no-log-prefix": false, "--since": true,
		"--tail": true, "-n": true, "--timestamps": false, "-t": false, "--until": true,
	}
	execFlags = map[string]bool{
		"--detach": false, "-d": false, "--env": true, "-e": true, "--index": true, "--interactive": false, "-i": false, "--no-tty": false,
		"--no-TTY": false, "-T": false, "--privileged": false, "--tty": false, "-t": false, "--user": true, "-u": true, "--workdir": true, "-w": true,
	}
)

// ServicesOfLogs are the services among the words for `docker compose logs`. It isn't ok
// where there is a flag of which it isn't known whether it takes the next word.
func ServicesOfLogs(words []string) (services []string, ok bool) {
	for len(words) > 0 {
		var service string
		if service, words, ok = operand(words, logsFlags); !ok {
			return nil, false
		}
		if service != "" {
			services = append(services, service)
		}
	}
	return services, true
}

// ServiceOfExec is the service among the words for `docker compose exec`; there is none
// if it is "". It isn't ok where ServicesOfLogs isn't.
func ServiceOfExec(words []string) (service string, ok bool) {
	service, _, ok = operand(words, execFlags)
	return service, ok
}

// operand is the first word that is neither a flag nor the value of one, and what stands
// behind it.
func operand(words []string, flags map[string]bool) (word string, rest []string, ok bool) {
	for len(words) > 0 {
		word, words = words[0], words[1:]
		switch {
		case word == "--" && len(words) > 0:
			return words[0], slices.Concat([]string{"--"}, words[1:]), true
		case word == "--":
			return "", nil, true
		case word == "-" || !strings.HasPrefix(word, "-"):
			return word, words, true
		}
		takesNext, known := takesNext(word, flags)
		if !known {
			return "", nil, false
		}
		if takesNext {
			words = words[min(1, len(words)):]
		}
	}
	return "", nil, true
}

// takesNext tells whether the value of a flag is the next word: not in --tail=5, -n5 and
// -n=5. Several of one letter may stand together, as in -ft.
func takesNext(word string, flags map[string]bool) (next, known bool) {
	if strings.HasPrefix(word, "--") {
		name, _, hasValue := strings.Cut(word, "=")
		valued, known := flags[name]
		return valued && !hasValue, known
	}
	for i := 1; i < len(word); i++ {
		valued, known := flags["-"+word[i:i+1]]
		if !known {
			return false, false
		}
		if valued || strings.HasPrefix(word[i+1:], "=") {
			return valued && i+1 == len(word), true
		}
	}
	return false, true
}
