package compose

import (
	"fmt"
	"slices"
	"strings"
)

// Port is one published port of a service.
type Port struct {
	Service   string
	HostIP    string   // the host's address, without brackets; empty: all of them
	Published int      // the host's port; 0: one that Docker chooses
	Last      int      // as Published, or where Docker chooses one from Published to Last
	Target    int      // the container's port
	Protocol  string   // tcp, udp or sctp
	Line      int      // of the entry in the file
	Column    int      // of the entry in its line, counted in characters from 1
	Variables []string // what the host's port depends on, set or not; none: it is fixed
}

// Published returns the ports of the services that are active under env, ranges
// one by one, in the file's order. An entry without a port of the host is there
// too, since Docker publishes it on one that it chooses.
//
// The error is an [*Error]: a variable that is required and not set, or a
// reference that isn't well-formed, anywhere in the file; or a port that Compose
// refuses, or that Docker would refuse at the start.
func (f *File) Published(env map[string]string) ([]Port, error) {
	r, err := f.Resolve(env)
	if err != nil {
		return nil, err
	}
	return r.Published()
}

// Published is [File.Published] of what was resolved.
func (r *Resolved) Published() ([]Port, error) {
	resolver := r.resolver // a copy, whose limits count on from what the services came to
	var ports []Port
	for _, s := range r.services {
		expanded, err := resolver.servicePorts(s)
		if err != nil {
			return nil, err
		}
		if s.active {
			ports = append(ports, expanded...)
		}
	}
	return ports, nil
}

// entry is a port with the key by which Compose tells it from others.
type entry struct {
	key  string
	port Port
}

// servicePorts expands the entries of a service. As in Compose, one that says
// the same as an earlier one takes its place: first as it is written, then once
// ranges are expanded.
func (r *resolver) servicePorts(s *service) ([]Port, error) {
	var written unique[[]entry]
	for _, n := range s.ports {
		key, entries, err := r.entry(s.name, n)
		if err != nil {
			return nil, err
		}
		if r.ports += len(entries); r.ports > maxPorts {
			return nil, errorAt(n.line, "service %s: %w: more than %d ports in the file", s.name, ErrTooLarge, maxPorts)
		}
		written.put(key, entries)
	}
	var ports unique[Port]
	for _, e := range slices.Concat(written.values...) {
		ports.put(e.key, e.port)
	}
	return ports.values, nil
}

// unique is a list in which a value takes the place of the one with the same key.
type unique[V any] struct {
	values []V
	index  map[string]int
}

func (u *unique[V]) put(key string, value V) {
	if i, ok := u.index[key]; ok {
		u.values[i] = value
		return
	}
	if u.index == nil {
		u.index = map[string]int{}
	}
	u.index[key] = len(u.values)
	u.values = append(u.values, value)
}

// String is the port as the short notation has it: "127.0.0.1:8080:80/udp".
func (p Port) String() string {
	host := ""
	if p.HostIP != "" {
		host = p.HostIP + ":"
		if strings.Contains(p.HostIP, ":") {
			host = "[" + p.HostIP + "]:"
		}
	}
	switch {
	case p.Last > p.Published:
		host += fmt.Sprintf("%d-%d:", p.Published, p.Last)
	case p.Published > 0:
		host += fmt.Sprintf("%d:", p.Published)
	case host != "":
		host += ":"
	}
	return fmt.Sprintf("%s%d/%s", host, p.Target, p.Protocol)
}
