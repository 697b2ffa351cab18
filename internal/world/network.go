package world

import (
	"context"
	"fmt"
	"net"
	"time"
)

// dialTimeout is how long Listening waits: on the local machine a connection is
// accepted or refused at once, and a remote one isn't worth a longer wait.
const dialTimeout = 250 * time.Millisecond

type realServices struct{}

func (realServices) Listening(ctx context.Context, address string) (bool, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false, nil
	}
	conn.Close()
	return true, nil
}

func (realServices) TryListen(ctx context.Context, network, address string) error {
	var taken interface{ Close() error }
	var err error
	if network == "udp" {
		taken, err = new(net.ListenConfig).ListenPacket(ctx, network, address)
	} else {
		taken, err = new(net.ListenConfig).Listen(ctx, network, address)
	}
	if err != nil {
		return listenError(network, address, err)
	}
	return taken.Close()
}

func listenError(network, address string, err error) error {
	return fmt.Errorf("listening at %s, %s: %w", address, network, err)
}
