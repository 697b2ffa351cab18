// Command images makes the images that the stacks of tests need, and the shipped
// template names, on the Docker Engine: programs that only answer, for machines that
// can't pull the real ones. An image of such a name that wasn't made by it is left
// alone. With -remove, it removes what it has made.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/ktrdr/kinfra/internal/dockertest"
)

func main() {
	remove := flag.Bool("remove", false, "remove the images instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *remove); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, remove bool) error {
	if remove {
		removed, err := dockertest.Remove(ctx)
		list("removed", removed)
		return err
	}
	installed, foreign, err := dockertest.Install(ctx)
	list("made", installed)
	list("left alone, since it wasn't made by this command:", foreign)
	return err
}

func list(what string, names []string) {
	for _, name := range names {
		fmt.Println(what, name)
	}
}
