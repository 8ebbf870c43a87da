package expect

import "fmt"

// MaxViolations is how many violations a tally names.
const MaxViolations = 20

// Tally adds up what was found at the keys of a run.
type Tally struct {
	Applied     uint64 // events in the ledger
	Lost        uint64 // events
	Duplicated  uint64 // events
	Reordered   uint64 // keys
	UnknownKeys uint64 // keys
	Unfinished  uint64 // events; no violation

	violations []string
	unnamed    uint64
}

// Add counts one key, its account and what was found there.
func (t *Tally) Add(name string, got Account, f Finding) {
	t.Applied += got.Events
	switch f.Kind {
	case Fine:
		return
	case Lost:
		t.Lost += f.Events
	case Duplicated:
		t.Duplicated += f.Events
	case Reordered:
		t.Reordered++
	case Unknown:
		t.UnknownKeys++
	case Unfinished:
		t.Unfinished += f.Events
		return
	}
	t.Violate(fmt.Sprintf("%s: key %s: %s", f.Kind, name, f.Detail))
}

// AddUnread counts a key whose account could not be read.
func (t *Tally) AddUnread(name, why string) {
	t.Add(name, Account{}, Finding{Kind: Unknown, Detail: why})
}

// Violate enters a violation that no count shows.
func (t *Tally) Violate(violation string) {
	if len(t.violations) >= MaxViolations {
		t.unnamed++
		return
	}
	t.violations = append(t.violations, violation)
}

// Clean tells whether there was no violation at all.
func (t *Tally) Clean() bool { return len(t.violations) == 0 }

// Violations returns the first violations, and if there are more, how many.
func (t *Tally) Violations() []string {
	out := append([]string{}, t.violations...)
	if t.unnamed > 0 {
		out = append(out, fmt.Sprintf("and %d more", t.unnamed))
	}
	return out
}
