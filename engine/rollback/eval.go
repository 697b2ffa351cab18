package rollback

// result is what comes of a statement, as the steps in it stand.
type result string

const (
	passes     result = "is done"
	fails      result = "failed"
	unfinished result = "is not done"
)

// around is the key of the innermost step or check around a place.
func (s *shape) around(at place) string {
	key, block := "", s.program
	for i := 0; i+1 < len(at); i += 2 {
		st := &block[at[i]]
		key = keyOf(key, st)
		block = st.Blocks[at[i+1]]
	}
	return key
}

// eval is what comes of a statement inside a step or check.
func (m *model) eval(s *Statement, inside string) result {
	key := keyOf(inside, s)
	switch s.Kind {
	case Step:
		return m.standing(key)
	case Attempt, Check:
		if m.evalBlock(s.Blocks[0], key) == unfinished {
			return unfinished
		}
		return passes
	}
	all := passes
	for _, branch := range s.Blocks {
		switch r := m.evalBlock(branch, key); {
		case r == fails:
			return fails // the others may have been cut off
		case r == unfinished:
			all = unfinished
		}
	}
	return all
}

func (m *model) evalBlock(block []Statement, inside string) result {
	for i := range block {
		if r := m.eval(&block[i], inside); r != passes {
			return r
		}
	}
	return passes
}

// standing is what a script gets that comes to a step now and doesn't run it.
func (m *model) standing(key string) result {
	k := m.steps[key]
	switch {
	case k == nil || k.taken:
		return unfinished
	case k.status == done:
		return passes
	case k.status == failed && (k.fixed || k.failedIn == m.process):
		return fails
	}
	return unfinished
}
