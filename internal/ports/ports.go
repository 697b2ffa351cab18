// Package ports checks that the ports of a pool can all be had at once.
package ports

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Min and Max bound the ports that a pool may use: those below Min are the
// system's (RFC 6335), and there are none above Max.
const (
	Min = 1024
	Max = 65535
)

// maxViolations is how many violations Verify tells one by one. A wrong rule
// breaks every slot of the pool in the same way, so the first few say it all.
const maxViolations = 10

// Claim is one port that somebody is to have.
type Claim struct {
	Owner  string // who, in the words of a message: "slot 1"
	Name   string // what the owner calls it: "api"
	Number int

	// Foreign tells that no rule of the pool at hand has made it: it is another pool's,
	// or that of a slot that was made by earlier rules.
	Foreign bool
}

func (c Claim) String() string { return fmt.Sprintf("%s %q", c.Owner, c.Name) }

// Collision says that two claims are for the same port. A is the one that was
// given to Verify first.
type Collision struct{ A, B Claim }

func (e *Collision) Error() string {
	return fmt.Sprintf("port %d is used twice: %s and %s", e.A.Number, e.A, e.B)
}

// OutOfRange says that a claim is for a port outside Min to Max.
type OutOfRange struct{ Claim Claim }

func (e *OutOfRange) Error() string {
	return fmt.Sprintf("port %d of %s is not in %d to %d", e.Claim.Number, e.Claim, Min, Max)
}

// Verify checks that every claim is in range and that none is for a port that
// another has. Its error joins a *Collision or *OutOfRange for each violation,
// in the order of the claims, up to a number of ten; of several claims to one
// port, each collides with the first.
func Verify(claims []Claim) error {
	return join(violations(claims))
}

// join is the violations as one error, nil where there are none.
func join(bad []error) error {
	if len(bad) == 0 {
		return nil
	}
	if n := len(bad) - maxViolations; n > 0 {
		bad = append(bad[:maxViolations:maxViolations], fmt.Errorf("and %d more such violations", n))
	}
	if len(bad) == 1 {
		return bad[0]
	}
	return errors.Join(bad...)
}

func violations(claims []Claim) []error {
	byNumber := make([]int, len(claims)) // indices of claims
	for i := range byNumber {
		byNumber[i] = i
	}
	slices.SortStableFunc(byNumber, func(i, j int) int { return cmp.Compare(claims[i].Number, claims[j].Number) })

	first := make([]int, len(claims)) // for each claim, the first one to its port
	for k, i := range byNumber {
		first[i] = i
		if k > 0 && claims[byNumber[k-1]].Number == claims[i].Number {
			first[i] = first[byNumber[k-1]]
		}
	}
	var bad []error
	for i, c := range claims {
		if c.Number < Min || c.Number > Max {
			bad = append(bad, &OutOfRange{Claim: c})
		}
		if first[i] != i {
			bad = append(bad, &Collision{A: claims[first[i]], B: c})
		}
	}
	return bad
}

// Apart checks that no claim is for a port that one of others has. Claims among
// themselves, and others among themselves, are not looked at. Its error is as that of
// Verify, with the other claim as A.
func Apart(others, claims []Claim) error {
	taken := make(map[int]Claim, len(others))
	for _, c := range others {
		if _, known := taken[c.Number]; !known {
			taken[c.Number] = c
		}
	}
	var bad []error
	for _, c := range claims {
		if other, ok := taken[c.Number]; ok {
			bad = append(bad, &Collision{A: other, B: c})
		}
	}
	return join(bad)
}
