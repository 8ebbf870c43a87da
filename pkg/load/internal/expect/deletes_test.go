package expect

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load"
)

// deleting is a run of one key in which some events delete its state.
type deleting struct {
	book     *Book
	sent     [][]byte
	outcomes []Outcome
	deletes  []bool
}

// sendDeleting sends one event for each outcome, those that delete by their numbers.
func sendDeleting(t require.TestingT, outcomes []Outcome, deletes ...int) *deleting {
	r := &deleting{outcomes: outcomes, deletes: make([]bool, len(outcomes))}
	for _, counter := range deletes {
		r.deletes[counter-1] = true
	}
	r.book = newBookBy(t, func(d *load.Draw) load.Event {
		return load.Event{Payload: d.Content(), Deletes: d.Key == 1 && d.Counter <= uint64(len(r.deletes)) && r.deletes[d.Counter-1]}
	}, 2, Payload{Size: Bytes(40)})
	sendAll(r.book, 0, outcomes...)
	r.sent = sendAll(r.book, 1, outcomes...)
	return r
}

// apply returns the state after events, given by their numbers, as platform and handler come to it.
func (r *deleting) apply(counters []int) State {
	begun := 0
	for i, counter := range counters {
		if r.deletes[counter-1] {
			begun = i + 1
		}
	}
	var in [][]byte
	for _, counter := range counters[begun:] {
		in = append(in, r.sent[counter-1])
	}
	return applied(in...)
}

func TestStatesThatAreDeleted(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes []Outcome
		deletes  []int
		applied  []int // by counter
		want     Kind
		events   uint64
	}{
		"the last one deletes":                                  {[]Outcome{s, s, s}, []int{3}, []int{1, 2, 3}, Fine, 0},
		"the last one deletes, and is lost":                     {[]Outcome{s, s, s}, []int{3}, []int{1, 2}, Lost, 1},
		"the last one deletes, and one is applied again after":  {[]Outcome{s, s, s}, []int{3}, []int{1, 2, 3, 2}, Duplicated, 1},
		"the last one deletes, and is applied too early":        {[]Outcome{s, s, s}, []int{3}, []int{1, 3, 2}, Duplicated, 1},
		"the last one deletes, all are lost: looks as if right": {[]Outcome{s, s, s}, []int{3}, nil, Fine, 0},
		"all delete":                                           {[]Outcome{s, s, s}, []int{1, 2, 3}, []int{1, 2, 3}, Fine, 0},
		"one in the middle deletes":                            {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 4, 5}, Fine, 0},
		"one in the middle deletes, and is lost":               {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 4, 5}, Lost, 1},
		"one in the middle deletes, one before it is lost":     {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 3, 4, 5}, Fine, 0},
		"one in the middle deletes, one after it is lost":      {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 5}, Lost, 1},
		"one in the middle deletes, one after it is doubled":   {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 4, 4, 5}, Duplicated, 1},
		"one in the middle deletes, two after it are swapped":  {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 5, 4}, Reordered, 0},
		"one in the middle deletes, and is doubled at once":    {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 3, 4, 5}, Fine, 0},
		"one in the middle deletes, and is doubled later":      {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 4, 3, 5}, Lost, 1},
		"one in the middle deletes, and is doubled at the end": {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3, 4, 5, 3}, Unproven, 2},
		"one in the middle deletes, and comes one too early":   {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 3, 2, 4, 5}, Duplicated, 1},
		"one in the middle deletes, and comes one too late":    {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 4, 3, 5}, Lost, 1},
		"one in the middle deletes, all are lost":              {[]Outcome{s, s, s, s, s}, []int{3}, nil, Unproven, 2},
		"one in the middle deletes, all after it are lost":     {[]Outcome{s, s, s, s, s}, []int{3}, []int{1, 2, 3}, Unproven, 2},
		"two delete":                                             {[]Outcome{s, s, s, s, s}, []int{2, 4}, []int{1, 2, 3, 4, 5}, Fine, 0},
		"two delete, the first is lost":                          {[]Outcome{s, s, s, s, s}, []int{2, 4}, []int{1, 3, 4, 5}, Fine, 0},
		"two delete, the second is lost":                         {[]Outcome{s, s, s, s, s}, []int{2, 4}, []int{1, 2, 3, 5}, Lost, 1},
		"two delete, both are lost":                              {[]Outcome{s, s, s, s, s}, []int{2, 4}, []int{1, 3, 5}, Lost, 2},
		"two delete in a row, the second is lost":                {[]Outcome{s, s, s, s}, []int{2, 3}, []int{1, 2, 4}, Fine, 0},
		"one deletes and one before it is applied once more":     {[]Outcome{s, s, s, s}, []int{2}, []int{1, 2, 3, 1, 4}, Duplicated, 1},
		"one that deletes is given up, and applied":              {[]Outcome{s, s, g, s}, []int{3}, []int{1, 2, 3, 4}, Fine, 0},
		"one that deletes is given up, and not applied":          {[]Outcome{s, s, g, s}, []int{3}, []int{1, 2, 4}, Fine, 0},
		"one that deletes is given up, another is lost":          {[]Outcome{s, s, g, s}, []int{3}, []int{1, 4}, Unknown, 0},
		"one that deletes is given up, all are lost":             {[]Outcome{s, s, g, s}, []int{3}, nil, Unproven, 1},
		"one that deletes is given up, one is doubled":           {[]Outcome{s, s, g, s}, []int{3}, []int{1, 2, 2, 4}, Duplicated, 1},
		"one that deletes is given up, and comes later":          {[]Outcome{s, s, g, s, s}, []int{3}, []int{1, 2, 4, 3, 5}, Lost, 1},
		"the last one deletes and is given up, applied":          {[]Outcome{s, s, g}, []int{3}, []int{1, 2, 3}, Fine, 0},
		"the last one deletes and is given up, not applied":      {[]Outcome{s, s, g}, []int{3}, []int{1, 2}, Fine, 0},
		"the last one deletes and is given up, one is lost":      {[]Outcome{s, s, g}, []int{3}, []int{2}, Unknown, 0},
		"one that deletes between two given up, neither applied": {[]Outcome{s, g, s, g, s}, []int{3}, []int{1, 3, 5}, Fine, 0},
		"one that deletes between two given up, both applied":    {[]Outcome{s, g, s, g, s}, []int{3}, []int{1, 2, 3, 4, 5}, Fine, 0},
		"one that deletes between two given up, one moved":       {[]Outcome{s, g, s, g, s}, []int{3}, []int{1, 3, 2, 5}, Unknown, 0},
		"one that deletes between two given up, and is lost":     {[]Outcome{s, g, s, g, s}, []int{3}, []int{1, 2, 4, 5}, Lost, 1},
		"two that delete are given up, neither applied":          {[]Outcome{s, g, s, g, s}, []int{2, 4}, []int{1, 3, 5}, Fine, 0},
		"two that delete are given up, the first applied":        {[]Outcome{s, g, s, g, s}, []int{2, 4}, []int{1, 2, 3, 5}, Fine, 0},
		"two that delete are given up, the second applied":       {[]Outcome{s, g, s, g, s}, []int{2, 4}, []int{1, 3, 4, 5}, Fine, 0},
		"two that delete are given up, the tail is lost":         {[]Outcome{s, g, s, g, s}, []int{2, 4}, []int{1, 3}, Unknown, 0},
		"one that deletes is not stored":                         {[]Outcome{s, s, n, s}, []int{3}, []int{1, 2, 4}, Fine, 0},
		"one that deletes is not stored, yet applied":            {[]Outcome{s, s, n, s}, []int{3}, []int{1, 2, 3, 4}, Lost, 2},
		"the last one deletes and is not stored":                 {[]Outcome{s, s, n}, []int{3}, []int{1, 2}, Fine, 0},
		"the last one deletes and is not stored, yet applied":    {[]Outcome{s, s, n}, []int{3}, []int{1, 2, 3}, Unproven, 2},
		"one deletes, the one after it is given up, not applied": {[]Outcome{s, s, g}, []int{2}, []int{1, 2}, Fine, 0},
		"one deletes, the one after it is given up, applied":     {[]Outcome{s, s, g}, []int{2}, []int{1, 2, 3}, Fine, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := sendDeleting(t, c.outcomes, c.deletes...)
			f := r.book.Check(1, r.apply(c.applied))
			require.Equal(t, c.want.String(), f.Kind.String(), f.Detail)
			require.Equal(t, c.events, f.Events, f.Detail)
			require.Equal(t, c.want == Fine, f.Detail == "")
			require.True(t, r.allowed()[r.apply(c.applied)] == (c.want == Fine), "this table is wrong")
			if !slices.Contains(c.outcomes, GivenUp) && !slices.Contains(c.outcomes, NotStored) && c.want == Fine {
				require.EqualValues(t, len(c.outcomes), f.Applied)
			}
			require.Equal(t, Fine, r.book.Check(0, r.key0()).Kind, "the other key")
		})
	}
}

// key0 is the state of the key none of whose events deletes, if those that were given up were applied.
func (r *deleting) key0() State {
	var in [][]byte
	again := newBook(require.TestingT(nil), 2, 40)
	for _, o := range r.outcomes {
		if p := sendAll(again, 0, o)[0]; o != NotStored {
			in = append(in, p)
		}
	}
	return applied(in...)
}

// A state that is there though no event was applied to it is no proof of anything.
func TestStateWithoutEvents(t *testing.T) {
	for _, deletes := range [][]int{nil, {2}, {1, 2}} {
		r := sendDeleting(t, []Outcome{Stored, Stored}, deletes...)
		require.Equal(t, Unknown, r.book.Check(1, State{Found: true}).Kind)
		require.Equal(t, Unknown, r.book.CheckUnfinished(1, State{Found: true}).Kind)
	}
}

// The states of a long life of a key are told apart, and so are those of workers that delete nothing.
func TestStatusMachine(t *testing.T) {
	const lives = 500
	b := newBookBy(t, func(d *load.Draw) load.Event {
		return load.Event{Payload: fmt.Append(d.Buf, "status"), Deletes: d.Counter%4 == 0}
	}, 1, Payload{})
	var sent, kept, all [][]byte
	for counter := 1; counter <= 4*lives; counter++ {
		require.Equal(t, Fine, b.Check(0, applied(sent...)).Kind)
		p := sendAll(b, 0, Stored)[0]
		all = append(all, p)
		if sent = append(sent, p); counter%4 == 0 {
			sent = nil
		} else {
			kept = append(kept, p)
		}
	}
	f := b.Check(0, State{})
	require.Equal(t, Finding{Applied: 4 * lives, Deleted: true}, f)
	f = b.Check(0, applied(kept...))
	require.Equal(t, Lost, f.Kind)
	require.EqualValues(t, lives, f.Events)
	require.Contains(t, f.Detail, "were not applied")
	f = b.Check(0, applied(all...))
	require.Equal(t, Lost, f.Kind)
	require.EqualValues(t, lives, f.Events)
	require.Contains(t, f.Detail, "does the handler return consume.Delete")
}

// A state that begins late says so: it was lost and made anew, or deleted and the generator does not say so.
func TestStateThatBeginsLate(t *testing.T) {
	b := newBook(t, 2, 40)
	sent := sendAll(b, 1, Stored, GivenUp, Stored, Stored, Stored)
	f := b.Check(1, applied(sent[3:]...))
	require.Equal(t, Lost, f.Kind)
	require.EqualValues(t, 2, f.Events)
	require.Contains(t, f.Detail, "its state begins with event 4, so those before are lost, or")
	f = b.Check(1, applied(sent[0], sent[4]))
	require.Equal(t, Lost, f.Kind)
	require.NotContains(t, f.Detail, "begins")
}

// Whether an event deletes must be what the generator says each time.
func TestDeletesMustRepeat(t *testing.T) {
	calls := 0
	b := newBookBy(t, func(d *load.Draw) load.Event {
		calls++
		return load.Event{Deletes: d.Counter > 3 && calls%2 == 0}
	}, 1, Payload{})
	for range 6 {
		sendAll(b, 0, Stored)
	}
	sendAll(b, 0, GivenUp)
	for range 4 {
		require.Equal(t, Unknown, b.Check(0, applied([]byte("x"))).Kind)
		calls++
	}
}

// An event that deletes only when it is made again would excuse a state that is lost.
func TestDeletionThatWasNotSentExcusesNothing(t *testing.T) {
	calls := make(map[uint64]int)
	b := newBookBy(t, func(d *load.Draw) load.Event {
		calls[d.Counter]++
		return load.Event{Deletes: d.Counter == 1 || d.Counter == 3 && calls[3] > 1}
	}, 1, Payload{})
	sendAll(b, 0, Stored, GivenUp, Stored)
	f := b.Check(0, State{})
	require.Equal(t, Unknown, f.Kind)
	require.Equal(t, notRepeated, f.Detail)
}

// The events that were applied are counted as far as the state shows.
func TestAppliedEventsAreCounted(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
	)
	for _, c := range []struct {
		outcomes []Outcome
		deletes  []int
		applied  []int
		want     uint64
	}{
		{[]Outcome{s, s, s, s}, []int{2}, []int{1, 2, 3, 4}, 4},
		{[]Outcome{s, s, g, s}, []int{3}, []int{1, 2, 3, 4}, 4},
		{[]Outcome{s, s, g, s}, []int{3}, []int{1, 2, 4}, 3},
		{[]Outcome{s, g, s, s}, []int{3}, []int{1, 2, 3, 4}, 3}, // whether the second was applied does not show
		{[]Outcome{s, s, s, s}, []int{2}, []int{1, 2, 3}, 3},
		{[]Outcome{s, s, s, s}, []int{2}, []int{1, 3, 4}, 3},
		{[]Outcome{s, s, s, s}, []int{4}, []int{1, 2, 3, 4}, 4},
		{[]Outcome{s, s, s}, nil, nil, 0},
	} {
		r := sendDeleting(t, c.outcomes, c.deletes...)
		require.Equal(t, c.want, r.book.Check(1, r.apply(c.applied)).Applied, "%+v", c)
	}
}

// More events in a state that is still to be deleted than can have been are doubled, even before the log's end.
func TestDoubledBeforeTheEnd(t *testing.T) {
	r := sendDeleting(t, []Outcome{Stored, Stored, Stored, Stored}, 3)
	f := r.book.CheckUnfinished(1, r.apply([]int{1, 2, 2}))
	require.Equal(t, Duplicated, f.Kind, f.Detail)
	require.EqualValues(t, 1, f.Events)
}
