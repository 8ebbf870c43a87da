package expect

import "fmt"

// MaxViolations is how many violations a tally names, and how many keys of which events were dropped.
const MaxViolations = 20

// Tally adds up what was found at the keys of a run.
type Tally struct {
	Applied     uint64 // events, as far as the states show
	Lost        uint64 // events
	Duplicated  uint64 // events
	Reordered   uint64 // keys
	Unproven    uint64 // keys
	UnknownKeys uint64 // keys
	Refused     uint64 // keys, by the application's own check
	Deleted     uint64 // keys without a state, as they ought to be; no violation
	Unfinished  uint64 // events; no violation
	Dropped     uint64 // events; no violation

	violations listing
	drops      listing // keys
}

// Add counts one key and what was found there.
func (t *Tally) Add(name string, f Finding) {
	t.Applied += f.Applied
	if f.Deleted {
		t.Deleted++
	}
	switch f.Kind {
	case Fine:
		return
	case Lost:
		t.Lost += f.Events
	case Duplicated:
		t.Duplicated += f.Events
	case Reordered:
		t.Reordered++
	case Unproven:
		t.Unproven++
	case Unknown:
		t.UnknownKeys++
	case Unfinished:
		t.Unfinished += f.Events
		return
	case Dropped:
		t.Dropped += f.Events
		t.drops.add(fmt.Sprintf("key %s: %s", name, f.Detail))
		return
	}
	t.Violate(fmt.Sprintf("%s: key %s: %s", f.Kind, name, f.Detail))
}

// AddUnread counts a key whose state could not be read.
func (t *Tally) AddUnread(name, why string) {
	t.Add(name, Finding{Kind: Unknown, Detail: why})
}

// Refuse counts a key whose state the application's own check refuses.
func (t *Tally) Refuse(name string, err error) {
	t.Refused++
	t.Violate(fmt.Sprintf("refused by Check: key %s: %v", name, err))
}

// Violate enters a violation that no count shows.
func (t *Tally) Violate(violation string) { t.violations.add(violation) }

// Clean tells whether there was no violation at all.
func (t *Tally) Clean() bool { return len(t.violations.first) == 0 }

// Violations returns the first violations, and if there are more, how many.
func (t *Tally) Violations() []string { return t.violations.lines() }

// Drops returns the first keys of which events were dropped, and if there are more, how many.
func (t *Tally) Drops() []string { return t.drops.lines() }

// listing keeps the first MaxViolations lines.
type listing struct {
	first []string
	more  uint64
}

func (l *listing) add(line string) {
	if len(l.first) >= MaxViolations {
		l.more++
		return
	}
	l.first = append(l.first, line)
}

func (l *listing) lines() []string {
	out := append([]string{}, l.first...)
	if l.more > 0 {
		out = append(out, fmt.Sprintf("and %d more", l.more))
	}
	return out
}
