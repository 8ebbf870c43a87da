package expect

import "fmt"

// MaxViolations is how many violations a tally names, how many keys of which events were dropped, and how many that have a list.
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

	// Of keys that have a list; no violations.
	SetAside     uint64 // events in the lists
	SetAsideKeys uint64
	Parked       uint64 // of these events, those of parked keys
	ParkedKeys   uint64
	Expected     uint64 // of the parked keys, those whose list begins with an event that fails, as generate says

	violations listing
	drops      listing // keys
	lists      listing // keys
}

// Add counts one key and what was found there.
func (t *Tally) Add(name string, f Finding) {
	t.Applied += f.Applied
	if f.Deleted {
		t.Deleted++
	}
	t.addList(name, f)
	switch f.Kind {
	case Fine, SetAside:
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

// addList counts what waits in the key's list, if it has one.
func (t *Tally) addList(name string, f Finding) {
	if f.SetAside == 0 {
		return
	}
	t.SetAside += f.SetAside
	t.SetAsideKeys++
	state := "set aside"
	if f.Parked {
		state = "parked"
		t.Parked += f.SetAside
		t.ParkedKeys++
	}
	if f.Parked && f.Expected {
		state = "parked as expected"
		t.Expected++
	}
	t.lists.add(fmt.Sprintf("key %s (%s): %s", name, state, f.Detail))
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

// Lists returns the first keys that have a list, and if there are more, how many.
func (t *Tally) Lists() []string { return t.lists.lines() }

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
