package stack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// resolved is a stack as Compose understands its files, as far as is of interest here.
type resolved struct {
	Services map[string]resolvedService
	Volumes  map[string]struct {
		Name     string
		External bool
	}
}

type resolvedService struct {
	Image      string
	Build      json.RawMessage
	PullPolicy string `json:"pull_policy"`
	Restart    string
	Deploy     struct {
		RestartPolicy *struct{ Condition string } `json:"restart_policy"`
	}
}

func (s resolvedService) builds() bool { return len(s.Build) > 0 }

// restarted are the services that the Engine restarts whatever they end with.
func (r resolved) restarted() map[string]bool {
	all := map[string]bool{}
	for name, s := range r.Services {
		policy := s.Restart
		if s.Deploy.RestartPolicy != nil {
			policy = s.Deploy.RestartPolicy.Condition
		}
		all[name] = compose.RestartsAlways(policy)
	}
	return all
}

const configTimeout = time.Minute

// resolve has Compose read the files, which finds mistakes in them and variables that
// aren't set. In a dry run it is not done, since the files may be only planned.
func (s Stack) resolve(ctx context.Context, w world.World) (resolved, error) {
	var r resolved
	if w.Planned() {
		return r, fmt.Errorf("what docker compose reads for project %s is %w", s.Project, world.ErrPlanned)
	}
	out, err := s.composeOutput(ctx, w, configTimeout, nil, "config", "--format", "json")
	if err != nil {
		return r, err
	}
	err = json.NewDecoder(bytes.NewReader(fromObject(out))).Decode(&r)
	if err != nil {
		return r, fmt.Errorf("reading what docker compose config printed for project %s: %w", s.Project, err)
	}
	return r, nil
}

// fromObject leaves out the lines before the first that begins an object: those of a
// wrapper of docker.
func fromObject(output []byte) []byte {
	for i := 0; i < len(output); i++ {
		if output[i] == '{' {
			return output[i:]
		}
		next := bytes.IndexByte(output[i:], '\n')
		if next < 0 {
			break
		}
		i += next
	}
	return nil
}

// volumes are the names of those that Compose makes if they aren't there.
func (r resolved) volumes() (names []string) {
	for _, v := range r.Volumes {
		if !v.External {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// needs tells which services need their images to be pulled, and which to be built.
func (u *upper) needs(ctx context.Context, r resolved) (pull, build []string, err error) {
	built, there := map[string]bool{}, map[string]bool{}
	image := func(name string) string { return cmp.Or(r.Services[name].Image, u.stack.Project+"-"+name) }
	for name, service := range r.Services {
		built[image(name)] = built[image(name)] || service.builds()
	}
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		service := r.Services[name]
		if service.builds() && (u.stack.Build || service.PullPolicy == "build") {
			build = append(build, name)
			continue
		}
		if service.Image == "" && !service.builds() || built[image(name)] && !service.builds() {
			continue // it needs no image, or gets that of another service
		}
		if _, asked := there[image(name)]; !asked {
			if there[image(name)], err = u.engine.HasImage(ctx, image(name)); err != nil {
				return nil, nil, err
			}
		}
		switch missing := !there[image(name)]; {
		case service.builds() && missing:
			build = append(build, name)
		case !service.builds() && (missing || service.PullPolicy == "always"):
			pull = append(pull, name)
		}
	}
	return pull, build, nil
}

// obtain sees to it that all images are there, before anything else is changed.
func (u *upper) obtain(ctx context.Context, r resolved) error {
	pull, build, err := u.needs(ctx, r)
	if err != nil {
		return err
	}
	if len(pull) > 0 {
		u.phase("pulling the images of " + strings.Join(pull, ", "))
		err := u.stack.runCompose(ctx, u.world, u.left(), u.options.Follow, append([]string{"pull", "--quiet", "--"}, pull...)...)
		if err != nil {
			return u.notPulled(ctx, r, pull, err)
		}
	}
	if len(build) > 0 {
		u.phase("building " + strings.Join(build, ", "))
		return u.stack.runCompose(ctx, u.world, u.left(), u.options.Follow, append([]string{"build", "--"}, build...)...)
	}
	return nil
}

// notPulled is the error that names the images which can't be had.
func (u *upper) notPulled(ctx context.Context, r resolved, services []string, cause error) error {
	if ctx.Err() != nil || errors.Is(cause, world.ErrPlanned) {
		return cause
	}
	var missing []string
	for _, service := range services {
		image := r.Services[service].Image
		if there, err := u.engine.HasImage(ctx, image); err == nil && !there && !slices.Contains(missing, image) {
			missing = append(missing, image)
		}
	}
	if len(missing) == 0 {
		return cause
	}
	return hint.Wrap(&ImageMissingError{u.stack.Project, missing, cause}, "build it, or pull it where there is a network: docker pull %s", missing[0])
}
