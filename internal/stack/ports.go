package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/hint"
)

// PortTakenError says which ports of a stack somebody else has.
type PortTakenError struct {
	Project string
	Ports   []TakenPort
}

// TakenPort is a port that somebody else has.
type TakenPort struct {
	compose.Port
	By string // "python3 (pid 4711)", "container web-1"; empty where the system doesn't tell

	process process // that has it, where no container is listed with it
}

func (e *PortTakenError) Error() string {
	var all []string
	for _, p := range e.Ports {
		all = append(all, fmt.Sprintf("port %d of service %s is taken by %s", p.Published, p.Service, cmp.Or(p.By, "a process that the system doesn't name")))
	}
	return fmt.Sprintf("starting project %s: %s", e.Project, strings.Join(all, "; "))
}

// Is makes it an ErrPortTaken.
func (e *PortTakenError) Is(target error) bool { return target == ErrPortTaken }

// byEngine tells whether an Engine may have one of the ports for a container that isn't
// listed with it.
func (e *PortTakenError) byEngine() bool {
	return slices.ContainsFunc(e.Ports, func(p TakenPort) bool {
		return !strings.HasPrefix(p.By, "container ") && p.process.ofEngine()
	})
}

// checkPorts tells which ports others have. Those that the stack's own containers
// publish are taken by right. On an Engine elsewhere there is nothing to see.
func (u *upper) checkPorts(ctx context.Context, own docker.State, containers []docker.Container) error {
	if !u.engine.Local() {
		return nil
	}
	var taken []TakenPort
	for _, port := range u.options.Ports {
		if port.Published == 0 || port.Last > port.Published || port.Protocol == "sctp" {
			continue // Docker chooses one, or the system can't say
		}
		if publishes(own.Containers, port) != "" {
			continue
		}
		by := publishes(containers, port)
		if by != "" {
			taken = append(taken, TakenPort{Port: port, By: "container " + by})
			continue
		}
		address := net.JoinHostPort(port.HostIP, strconv.Itoa(port.Published))
		if err := u.world.Services.TryListen(ctx, port.Protocol, address); errors.Is(err, syscall.EADDRINUSE) {
			by := listener(u.world.Disk.Host(), port.Protocol, port.Published)
			taken = append(taken, TakenPort{port, by.String(), by})
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return hint.Wrap(&PortTakenError{u.stack.Project, taken}, "stop what listens there, or change the port's rule")
}

// publishes names the container that has the port on an address of its own or on all.
func publishes(containers []docker.Container, port compose.Port) string {
	for _, c := range containers {
		for _, p := range c.Ports {
			if p.Host == port.Published && p.Protocol == port.Protocol && overlap(p.HostIP, port.HostIP) {
				return c.Name
			}
		}
	}
	return ""
}

// overlap tells whether two addresses of this machine have one in common.
func overlap(a, b string) bool {
	return everywhere(a) || everywhere(b) || a == b
}

func everywhere(address string) bool {
	ip := net.ParseIP(address)
	return address == "" || ip != nil && ip.IsUnspecified()
}
