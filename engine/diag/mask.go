package diag

import "github.com/ktrdr/kinfra/internal/mask"

// Masked is diagnostics with the values of a set masked. Those that it gets stay as they are.
func Masked(all []Diagnostic, m *mask.Set) []Diagnostic {
	if m.Empty() || len(all) == 0 {
		return all
	}
	masked := make([]Diagnostic, len(all))
	for i, d := range all {
		masked[i] = Diagnostic{Message: m.Text(d.Message), Calls: maskedCalls(d.Calls, m), Hint: m.Text(d.Hint)}
		masked[i].Place, masked[i].Recorded = d.Place.maskedIfKnown(m), d.Recorded.maskedIfKnown(m)
		for _, p := range d.Also {
			masked[i].Also = append(masked[i].Also, p.masked(m))
		}
	}
	return masked
}

func (p Place) masked(m *mask.Set) Place {
	p.File, p.Source = m.Text(p.File), m.Text(p.Source)
	return p
}

func (p *Place) maskedIfKnown(m *mask.Set) *Place {
	if p == nil {
		return nil
	}
	masked := p.masked(m)
	return &masked
}

func maskedCalls(calls []Call, m *mask.Set) []Call {
	var masked []Call
	for _, c := range calls {
		masked = append(masked, Call{c.Place.masked(m), m.Text(c.Function)})
	}
	return masked
}
