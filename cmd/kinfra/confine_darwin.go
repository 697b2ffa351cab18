package main

import (
	"context"
	"errors"
	"os"
)

var errNotConfined = errors.New("not on this system")

func isConfined() bool { return false }

// confinable tells whether this command line can be run by a child: this system doesn't
// limit the memory of a process in a way that a program survives.
func (a *app) confinable() bool { return false }

func (a *app) confined(context.Context) error { return errNotConfined }

func enterConfinement(size) (*os.File, *trail, error) { return nil, nil, errNotConfined }
