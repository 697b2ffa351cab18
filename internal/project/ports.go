package project

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/compose"
)

// Port is a port of the project, which each slot has on a number of its own.
type Port struct {
	Name     string // by the service, and the container's port where that has several
	Service  string // the first one that publishes it
	Variable string // by which the compose file takes it, perhaps only once it is changed
	Default  int    // what the file publishes by itself; 0 where Docker chooses
	Target   int    // the container's port

	// Slot N has it on Base + N * Step.
	Base, Step int

	entries []compose.Port
	given   bool // the file takes it by a variable already
}

// groupPorts sorts what the services publish into ports that move together: the same
// number by TCP and UDP, say.
func groupPorts(published []compose.Port) []*Port {
	var all []*Port
	byKey := map[string]*Port{}
	for _, p := range published {
		key := fmt.Sprintf("%d %s", p.Published, p.Variables)
		if p.Published == 0 || p.Last != p.Published {
			key = fmt.Sprintf("at %d:%d %d", p.Line, p.Column, p.Target)
		}
		one := byKey[key]
		if one == nil {
			one = &Port{Service: p.Service, Default: p.Published, Target: p.Target}
			byKey[key] = one
			all = append(all, one)
		}
		one.entries = append(one.entries, p)
	}
	return all
}

// namePorts names each port by its service, and by the container's port, too, where a
// service has several.
func namePorts(all []*Port) {
	count := map[string]int{}
	for _, p := range all {
		count[p.Service]++
	}
	taken := map[string]bool{}
	for _, p := range all {
		name := word(p.Service)
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			name = "port_" + name
		}
		if count[p.Service] > 1 {
			name += "_" + strconv.Itoa(p.Target)
		}
		p.Name = unique(name, "_", func(n string) bool { return taken[n] })
		taken[p.Name] = true
	}
}

// findVariables finds the variable by which the file takes each port already, and names
// one for the others.
func (r *reading) findVariables(all []*Port) {
	taken := map[string]bool{}
	for _, v := range r.file.Variables() {
		taken[v.Name] = true
	}
	for _, p := range all {
		for _, candidate := range p.entries[0].Variables {
			if r.decides(candidate, p, all) {
				p.Variable, p.given = candidate, true
				break
			}
		}
	}
	for _, p := range all {
		if p.given {
			continue
		}
		name := variableName(r.plan.Name, p.Name, "port")
		p.Variable = unique(name, "_", func(n string) bool { return taken[n] })
		taken[p.Variable] = true
	}
}

// decides tells whether a variable sets a port, and no other one.
func (r *reading) decides(variable string, port *Port, all []*Port) bool {
	const probe = 61999
	env := r.with(map[string]string{variable: strconv.Itoa(probe)})
	published, err := r.file.Published(env)
	if err != nil {
		return false
	}
	for _, p := range all {
		for _, entry := range p.entries {
			i := slices.IndexFunc(published, func(q compose.Port) bool {
				return q.Line == entry.Line && q.Column == entry.Column && q.Service == entry.Service && q.Target == entry.Target && q.Protocol == entry.Protocol
			})
			if i < 0 || (published[i].Published == probe) != (p == port) {
				return false
			}
		}
	}
	return true
}

// entryKey is where an entry of the compose file stands.
func entryKey(p compose.Port) place { return place{p.Line, p.Column} }

// changeEntries has each entry whose port is fixed take it from the port's variable.
func (r *reading) changeEntries(all []*Port) {
	variables := map[place][]portOf{}
	var order []place
	for _, p := range all {
		for _, entry := range p.entries {
			at := entryKey(entry)
			if variables[at] == nil {
				order = append(order, at)
			}
			variables[at] = append(variables[at], portOf{entry, p})
		}
	}
	for _, at := range order {
		ports := variables[at]
		if !slices.ContainsFunc(ports, func(p portOf) bool { return !p.port.given }) {
			continue
		}
		slices.SortFunc(ports, func(a, b portOf) int { return a.entry.Target - b.entry.Target })
		first := ports[0].entry
		if i := slices.IndexFunc(ports, func(p portOf) bool { return p.entry.Service != first.Service }); i >= 0 {
			r.byHand(first.Line, "the services %s and %s share this entry, and so publish the same port: give each its own", first.Service, ports[i].entry.Service)
			continue
		}
		if !r.changeEntry(r.doc.nodeAt(at), ports) {
			r.byHand(first.Line, "the service %s publishes %s in a way that can't be changed safely: let it take the port from a variable, as in \"${%s:-%d}:%d\"",
				first.Service, first, ports[0].port.Variable, first.Published, first.Target)
			continue
		}
		for _, p := range ports {
			r.changed(first.Line, "%s of the service %s takes its port from %s", p.entry, first.Service, p.port.Variable)
		}
	}
}

// portOf is what an entry of the compose file publishes, and the port that it is.
type portOf struct {
	entry compose.Port
	port  *Port
}

// maxRange is the longest range of ports that is written out one by one.
const maxRange = 32

func (r *reading) changeEntry(n *yaml.Node, ports []portOf) bool {
	switch {
	case n == nil || len(ports) > maxRange:
		return false
	case n.Kind == yaml.MappingNode:
		return len(ports) == 1 && r.changeLong(n, ports[0])
	case n.Kind != yaml.ScalarNode:
		return false
	}
	var values []string
	for _, p := range ports {
		value, ok := shortEntry(n.Value, p, len(ports) > 1)
		if !ok {
			return false
		}
		values = append(values, value)
	}
	return r.doc.replace(n, values...)
}

// changeLong changes the long notation, in which the host's port has a key of its own.
func (r *reading) changeLong(n *yaml.Node, p portOf) bool {
	published, ok := field(n, "published")
	if ok {
		return r.doc.replace(published.value, reference(p.port.Variable, published.value.Value))
	}
	target, ok := field(n, "target")
	if !ok {
		return false
	}
	_, end, ok := r.doc.token(target.value)
	if !ok {
		return false
	}
	text := `published: ` + quote(reference(p.port.Variable, "0"), false)
	if n.Style&yaml.FlowStyle != 0 {
		text = ", " + text
	} else {
		text = r.doc.newline() + strings.Repeat(" ", target.key.Column-1) + text
	}
	r.doc.edit(edit{end, end, text})
	return true
}

// shortEntry is an entry of the short notation that takes the host's port from a
// variable, whose default is what stood there. inRange tells that it is one of a range.
func shortEntry(written string, p portOf, inRange bool) (string, bool) {
	parts := splitColons(written)
	container := parts[len(parts)-1]
	if len(parts) == 1 && (p.entry.Published != 0 || strings.Contains(written, "$")) {
		return "", false // a variable has more than the container's port
	}
	host := "0" // Docker chooses one
	if len(parts) > 1 && parts[len(parts)-2] != "" {
		host = parts[len(parts)-2]
	}
	if inRange {
		_, protocol, hasProtocol := strings.Cut(container, "/")
		if strings.Contains(container, "$") {
			return "", false
		}
		if container = strconv.Itoa(p.entry.Target); hasProtocol {
			container += "/" + protocol
		}
		host = strconv.Itoa(p.entry.Published)
	}
	address := ""
	if len(parts) > 2 {
		address = strings.Join(parts[:len(parts)-2], ":") + ":"
	}
	return address + reference(p.port.Variable, host) + ":" + container, true
}

func reference(variable, standard string) string { return "${" + variable + ":-" + standard + "}" }

// splitColons splits an entry at the colons outside of ${…} and of an IPv6 address.
func splitColons(s string) []string {
	var parts []string
	start, depth := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ':':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}
