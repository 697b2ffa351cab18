package compose

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"
)

// entry expands one entry of a service's ports. The key is that of the entry as
// it is written.
func (r *resolver) entry(service string, n *node) (key string, entries []entry, err error) {
	var names []string
	switch n.kind {
	case integer:
		key = n.value
		entries, err = short(key)
	case text:
		if key, names, err = r.text(n); err != nil {
			return "", nil, err
		}
		if entries, err = short(key); err == nil {
			names = r.hostVariables(n, key, names)
		}
	case mapping:
		var e entry
		e, names, err = r.long(n)
		key, entries = e.key, []entry{e}
	default:
		err = fmt.Errorf("it must be text, a number or a mapping, not %s", n.kind)
	}
	if err != nil {
		return "", nil, errorAt(n.line, "a port of service %s: %w", service, err)
	}
	for i := range entries {
		p := &entries[i].port
		p.Service, p.Line, p.Column, p.Variables = service, n.line, n.column, names
	}
	return key, entries, nil
}

// maxSpec is the most bytes of a short entry; the longest that means anything, with
// two ranges and an IPv6 address, is half of it.
const maxSpec = 128

// short expands the short notation, [[HOST_IP:][HOST_PORT]:]CONTAINER_PORT[/PROTOCOL],
// where a port may be a range.
func short(spec string) ([]entry, error) {
	if len(spec) > maxSpec {
		return nil, fmt.Errorf("%.100q… is too long", spec)
	}
	mappings, err := nat.ParsePortSpec(spec)
	if err == nil && strings.Contains(spec, "+") { // go-connections takes a sign since 0.7, Compose 2.40 has 0.6
		err = errors.New("a port has no sign")
	}
	if err != nil {
		return nil, fmt.Errorf("%.100q: %w", spec, err)
	}
	var entries []entry
	for _, m := range mappings {
		p := Port{HostIP: m.Binding.HostIP, Target: m.Port.Int(), Protocol: m.Port.Proto()}
		if err := p.setHost(m.Binding.HostPort); err != nil {
			return nil, fmt.Errorf("%.100q: %w", spec, err)
		}
		if p.Target == 0 {
			return nil, fmt.Errorf("%.100q: a container has no port 0", spec)
		}
		published := "any"
		if m.Binding.HostPort != "" {
			published = textKey(m.Binding.HostPort)
		}
		entries = append(entries, entry{entryKey(cmp.Or(p.HostIP, anyHost), published, p.Target, p.Protocol), p})
	}
	return entries, nil
}

// setHost sets the host's port: a number, a range of which Docker chooses one, or
// nothing at all.
func (p *Port) setHost(port string) error {
	first, last, err := nat.ParsePortRangeToInt(port)
	if err != nil || strings.Contains(port, "+") {
		return fmt.Errorf("published port %.100q is no number or range from 0 to 65535", port)
	}
	p.Published, p.Last = first, last
	return nil
}

// long resolves the long notation, a mapping, and names the variables that its
// published port depends on.
func (r *resolver) long(n *node) (entry, []string, error) {
	var (
		p         Port
		names     []string
		host      = anyHost
		published = "any"
		protocol  = "tcp"
	)
	for _, f := range n.fields {
		value, used, err := r.scalar(f)
		if err != nil {
			return entry{}, nil, err
		}
		switch f.key {
		case "target":
			p.Target, err = strconv.Atoi(value)
			if err != nil || p.Target < 1 || p.Target > 65535 {
				return entry{}, nil, fmt.Errorf("target %.100q is no port from 1 to 65535", value)
			}
		case "published":
			names, published = used, textKey(value)
			if f.value.kind == integer {
				published = value
			}
			if err := p.setHost(value); err != nil {
				return entry{}, nil, err
			}
		case "host_ip":
			if host = value; net.ParseIP(host) == nil {
				return entry{}, nil, fmt.Errorf("host_ip %.100q is no IP address", host)
			}
			p.HostIP = host
		case "protocol":
			protocol = value
		}
	}
	if p.Target == 0 {
		return entry{}, nil, errors.New("it has no target, the container's port")
	}
	p.Protocol = strings.ToLower(cmp.Or(protocol, "tcp"))
	switch p.Protocol {
	case "tcp", "udp", "sctp":
	default:
		return entry{}, nil, fmt.Errorf("protocol %.100q is none of tcp, udp, sctp", protocol)
	}
	return entry{entryKey(host, published, p.Target, protocol), p}, names, nil
}

// scalar returns the value of a key of the long notation, and the variables in it.
func (r *resolver) scalar(f field) (value string, names []string, err error) {
	if strings.HasPrefix(f.key, "x-") {
		return "", nil, nil
	}
	switch f.key {
	case "target", "published":
		if f.value.kind == integer {
			return f.value.value, nil, nil
		}
	case "host_ip", "protocol", "mode", "name", "app_protocol":
	default:
		return "", nil, fmt.Errorf("unknown key %.100q", f.key)
	}
	if f.value.kind != text {
		return "", nil, fmt.Errorf("%s must be text, not %s", f.key, f.value.kind)
	}
	return r.text(f.value)
}

// anyHost is the address that Compose takes a port without one to have, when it
// looks for ports that are there twice.
const anyHost = "0.0.0.0"

// entryKey is the key by which Compose tells ports apart: compose-go's
// override.EnforceUnicity, which takes a published number and the same number as
// text for different.
func entryKey(host, published string, target int, protocol string) string {
	return fmt.Sprintf("%s|%s|%d/%s", host, published, target, protocol)
}

func textKey(published string) string { return "'" + published + "'" }

// hostVariables returns the variables that decide about the host's port of a
// short entry: n is what is written, value what it stands for, and names are all
// variables in it. Where it can't be told which of them do, it returns all.
func (r *resolver) hostVariables(n *node, value string, names []string) []string {
	parts := strings.Split(value, ":")
	if len(parts) == 1 {
		return nil // only a container's port
	}
	written := splitColons(n.value)
	if len(written) == 1 {
		return names
	}
	host, used, err := r.interpolate(written[len(written)-2], n.line)
	if err != nil || host != parts[len(parts)-2] {
		return names
	}
	return used
}

// splitColons splits s at the colons outside of ${…}.
func splitColons(s string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ':':
			parts = append(parts, s[start:i])
			start = i + 1
		case strings.HasPrefix(s[i:], "${"):
			if end := closingBrace(s[i:]); end > 0 {
				i += end
			}
		}
	}
	return append(parts, s[start:])
}
