package project

import (
	"fmt"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/ports"
)

const (
	// lowOffset is added to ports of the system (below ports.Min), which slots can't
	// have: what is on 80 by itself is near 10080 in slots.
	lowOffset = 10_000

	// Where no neighbourhood of a port is free, slots get their numbers from here on:
	// below what Linux gives to outgoing connections (32768 and above).
	firstBlock, lastBlock = 20_000, 32_000
)

// chooseRules gives each port a rule, so that over all slots no number is given twice,
// and none that another pool has or that the project has without kinfra. It prefers
// what is near to the port's own number.
func chooseRules(all []*Port, slots int, others []ports.Claim) error {
	c := chooser{slots: slots, others: map[int]bool{}, own: map[int]bool{}, given: map[int]bool{}}
	for _, claim := range others {
		c.others[claim.Number] = true
	}
	for _, p := range all {
		c.own[p.number()] = true
	}
	for _, p := range all {
		if !c.choose(p) {
			err := fmt.Errorf("no free ports for %q in %d slots: %d to %d are taken", p.Name, slots, firstBlock, lastBlock)
			return hint.Wrap(err, "ask for fewer slots with --slots, or deprovision another pool; kinfra ports shows what each has")
		}
	}
	return verifyRules(all, slots, others)
}

// number is the port's own, or the container's where it has none.
func (p *Port) number() int {
	if p.Default == 0 {
		return p.Target
	}
	return p.Default
}

type chooser struct {
	slots              int
	others, own, given map[int]bool
}

func (c chooser) choose(p *Port) bool {
	near := p.number()
	if near < ports.Min {
		near += lowOffset
	}
	for _, step := range []int{1, 10, 100} {
		if c.take(p, near, step) {
			return true
		}
	}
	block := (c.slots + 10) / 10 * 10
	for base := firstBlock; base+block <= lastBlock; base += block {
		if c.take(p, base, 1) {
			return true
		}
	}
	return false
}

// take gives a port the rule if all its numbers are free.
func (c chooser) take(p *Port, base, step int) bool {
	for n := range c.slots + 1 {
		number := base + n*step
		itself := n == 0 && number == p.number() // slot 0 is the project without kinfra
		if number > ports.Max || c.given[number] || !itself && (c.own[number] || c.others[number]) {
			return false
		}
	}
	for n := range c.slots + 1 {
		c.given[base+n*step] = true
	}
	p.Base, p.Step = base, step
	return true
}

// verifyRules proves what chooseRules is to do, by the rules' numbers alone.
func verifyRules(all []*Port, slots int, others []ports.Claim) error {
	var claims, own []ports.Claim
	for n := range slots + 1 {
		for _, p := range all {
			claim := ports.Claim{Owner: fmt.Sprintf("slot %d", n), Name: p.Name, Number: p.Base + n*p.Step}
			if claims = append(claims, claim); n > 0 {
				own = append(own, claim)
			}
		}
	}
	if err := ports.Verify(claims); err != nil {
		return err
	}
	return ports.Apart(others, own)
}
