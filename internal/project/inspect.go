package project

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Finding is something about the compose file that its reader should know.
type Finding struct {
	Line int    `json:"line,omitempty"` // 0: of no line in particular
	Text string `json:"text"`
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Text)
}

func (r *reading) byHand(line int, format string, args ...any) {
	r.plan.ByHand = add(r.plan.ByHand, Finding{line, fmt.Sprintf(format, args...)})
}

func (r *reading) changed(line int, format string, args ...any) {
	r.plan.Changes = add(r.plan.Changes, Finding{line, fmt.Sprintf(format, args...)})
}

func (r *reading) note(line int, format string, args ...any) {
	r.plan.Notes = add(r.plan.Notes, Finding{line, fmt.Sprintf(format, args...)})
}

func add(all []Finding, f Finding) []Finding {
	if slices.Contains(all, f) {
		return all
	}
	return append(all, f)
}

// inspect looks for what two stacks of the project could not both have.
func (r *reading) inspect() {
	services, _ := field(r.doc.root, "services")
	for _, s := range fields(services.value) {
		if slices.Contains(r.plan.Services, s.key.Value) {
			r.inspectService(s.key.Value, s.value)
		}
	}
	for _, kind := range []string{"volumes", "networks"} {
		section, ok := field(r.doc.root, kind)
		if !ok {
			continue
		}
		for _, f := range fields(section.value) {
			r.inspectNamed(strings.TrimSuffix(kind, "s"), f)
		}
	}
}

func (r *reading) inspectService(name string, n *yaml.Node) {
	if f, ok := field(n, "container_name"); ok && !perSlot(f.value.Value) {
		if r.doc.removeField(f.key, f.value) {
			r.changed(f.key.Line, "the container_name %s goes: no two containers can have it", f.value.Value)
		} else {
			r.byHand(f.key.Line, "the service %s has the container_name %s, which no two containers can have: take it out", name, f.value.Value)
		}
	}
	if f, ok := field(n, "network_mode"); ok && (f.value.Value == "host" || strings.HasPrefix(f.value.Value, "container:")) {
		r.byHand(f.key.Line, "the service %s has the network_mode %s, in which its ports are the same in every slot: let it publish ports instead", name, f.value.Value)
	}
	if networks, ok := field(n, "networks"); ok {
		for _, one := range fields(networks.value) {
			for _, key := range []string{"ipv4_address", "ipv6_address"} {
				if f, ok := field(one.value, key); ok && !strings.Contains(f.value.Value, "$") {
					r.byHand(f.key.Line, "the service %s has the fixed address %s, which belongs to one network only: take it out, services find each other by name", name, f.value.Value)
				}
			}
		}
	}
	image, hasImage := field(n, "image")
	if _, builds := field(n, "build"); builds {
		r.builds = append(r.builds, name)
		if hasImage && !perSlot(image.value.Value) {
			r.note(image.key.Line, "the service %s builds the image %s, which all slots share: each start builds it anew from its own worktree", name, image.value.Value)
		}
	}
	r.inspectPaths(name, n)
}

// inspectNamed looks at a volume or network of the project: its own name would make it
// the same one for all slots.
func (r *reading) inspectNamed(kind string, f pair) {
	external, _ := field(f.value, "external")
	if external.value != nil && (external.value.Value == "true" || external.value.Kind == yaml.MappingNode) {
		r.note(f.key.Line, "the %s %s is external: all slots share it, also with others", kind, f.key.Value)
		return
	}
	if ipam, ok := field(f.value, "ipam"); ok {
		if config, ok := field(ipam.value, "config"); ok {
			r.byHand(config.key.Line, "the network %s has a fixed subnet, which no two networks can have: take it out, Docker chooses one", f.key.Value)
		}
	}
	name, ok := field(f.value, "name")
	if !ok || perSlot(name.value.Value) {
		return
	}
	variable, given := onlyVariable(name.value.Value)
	switch {
	case given:
	case strings.Contains(name.value.Value, "$"):
		r.byHand(name.key.Line, "the %s %s has a name that is the same in every slot: put ${COMPOSE_PROJECT_NAME} into it", kind, f.key.Value)
		return
	default:
		variable = variableName(r.plan.Name, f.key.Value, kind)
		if !r.doc.replace(name.value, reference(variable, name.value.Value)) {
			r.byHand(name.key.Line, "the %s %s is named %s in every slot: let it take the name from a variable, as in ${%s:-%s}", kind, f.key.Value, name.value.Value, variable, name.value.Value)
			return
		}
		r.changed(name.key.Line, "the %s %s takes its name from %s, so that slots don't share it", kind, f.key.Value, variable)
	}
	r.names = append(r.names, named{variable, f.key.Value})
}

// named is a variable that names a volume or network of a slot.
type named struct{ variable, key string }

// perSlot tells whether a name is another one in each slot.
func perSlot(value string) bool {
	return strings.Contains(value, "COMPOSE_PROJECT_NAME") || strings.Contains(value, "SLOT_ID")
}

// onlyVariable is the variable that a value consists of: ${NAME} or ${NAME:-default}.
func onlyVariable(value string) (name string, ok bool) {
	inner, isReference := strings.CutPrefix(value, "${")
	inner, closed := strings.CutSuffix(inner, "}")
	if !isReference || !closed || strings.ContainsAny(inner, "${}") {
		return "", false
	}
	name, _, _ = strings.Cut(inner, ":")
	name, _, _ = strings.Cut(name, "-")
	return name, name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") == ""
}

// inspectPaths tells of paths that lead out of the worktree, and of files that a new
// worktree may lack.
func (r *reading) inspectPaths(name string, n *yaml.Node) {
	out := func(line int, what, path string) {
		if strings.HasPrefix(path, "../") || path == ".." {
			r.note(line, "the %s %s of the service %s leads out of the project's directory: each worktree needs it beside itself", what, path, name)
		}
	}
	if f, ok := field(n, "build"); ok {
		if f.value.Kind == yaml.ScalarNode {
			out(f.key.Line, "build context", f.value.Value)
		} else if context, ok := field(f.value, "context"); ok {
			out(context.key.Line, "build context", context.value.Value)
		}
	}
	if f, ok := field(n, "volumes"); ok && f.value.Kind == yaml.SequenceNode {
		for _, v := range f.value.Content {
			v = resolve(v)
			source, _, _ := strings.Cut(v.Value, ":")
			if long, ok := field(v, "source"); ok {
				source = long.value.Value
			}
			out(v.Line, "volume", source)
		}
	}
	if f, ok := field(n, "env_file"); ok {
		files := []*yaml.Node{f.value}
		if f.value.Kind == yaml.SequenceNode {
			files = f.value.Content
		}
		for _, file := range files {
			path := resolve(file).Value
			if long, ok := field(file, "path"); ok {
				path = long.value.Value
			}
			r.note(resolve(file).Line, "the service %s reads %s: a worktree where git doesn't put it needs a copy", name, path)
		}
	}
}
