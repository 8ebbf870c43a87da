package expect

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/store"
)

// Of a key with a list the state must be what the events before it come to, and the list must have the length of the rest.
func TestEventsSetAside(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes   []Outcome
		deletes    []int
		applied    []int // by counter
		setAside   uint64
		want       Kind
		events     uint64
		unfinished Kind
	}{
		"the last one":                                 {[]Outcome{s, s, s}, nil, []int{1, 2}, 1, SetAside, 1, SetAside},
		"all":                                          {[]Outcome{s, s, s}, nil, nil, 3, SetAside, 3, SetAside},
		"all, and one is applied too":                  {[]Outcome{s, s, s}, nil, []int{1}, 3, Duplicated, 1, Duplicated},
		"some, one is in neither":                      {[]Outcome{s, s, s}, nil, []int{1}, 1, Lost, 1, Unfinished},
		"some, and one before them is lost":            {[]Outcome{s, s, s}, nil, []int{2}, 1, Lost, 1, Reordered},
		"some, those before swapped":                   {[]Outcome{s, s, s}, nil, []int{2, 1}, 1, Reordered, 0, Reordered},
		"some, a later one applied":                    {[]Outcome{s, s, s}, nil, []int{1, 3}, 1, Reordered, 0, Reordered},
		"some, one applied twice":                      {[]Outcome{s, s, s}, nil, []int{1, 1}, 1, Reordered, 0, Reordered},
		"one given up is among them":                   {[]Outcome{s, g, s}, nil, []int{1}, 2, SetAside, 2, SetAside},
		"one given up is not among them":               {[]Outcome{s, g, s}, nil, []int{1}, 1, SetAside, 1, SetAside},
		"only the one given up":                        {[]Outcome{s, g}, nil, []int{1}, 1, SetAside, 1, SetAside},
		"one given up, and too many":                   {[]Outcome{s, g, s}, nil, []int{1}, 3, Duplicated, 1, Duplicated},
		"one given up, another in neither":             {[]Outcome{s, g, s, s}, nil, []int{1}, 1, Lost, 1, Unfinished},
		"one given up, a later one applied":            {[]Outcome{s, g, s, s}, nil, []int{1, 4}, 1, Unknown, 0, Unknown},
		"one not stored is among them":                 {[]Outcome{s, n, s}, nil, []int{1}, 2, Duplicated, 1, Duplicated},
		"one not stored":                               {[]Outcome{s, n, s}, nil, []int{1}, 1, SetAside, 1, SetAside},
		"one that deletes is among them":               {[]Outcome{s, s, s, s}, []int{3}, []int{1}, 3, SetAside, 3, SetAside},
		"one that deletes begins the list":             {[]Outcome{s, s, s}, []int{2}, []int{1}, 2, SetAside, 2, SetAside},
		"one that deletes was applied":                 {[]Outcome{s, s, s, s}, []int{2}, []int{1, 2, 3}, 1, SetAside, 1, SetAside},
		"one that deletes was applied, no state":       {[]Outcome{s, s, s, s}, []int{2}, []int{1, 2}, 2, SetAside, 2, Unfinished},
		"one that deletes was applied, none before it": {[]Outcome{s, s, s, s}, []int{2}, nil, 2, SetAside, 2, Unfinished}, // looks the same
		"one that deletes was applied, one too many":   {[]Outcome{s, s, s, s}, []int{2}, nil, 3, Unknown, 0, Unfinished},
		"one that deletes was applied, one in neither": {[]Outcome{s, s, s, s}, []int{2}, []int{1, 2, 3}, 0, Lost, 1, Unfinished},
	} {
		t.Run(name, func(t *testing.T) {
			r := sendDeleting(t, c.outcomes, c.deletes...)
			got := r.apply(c.applied)
			if got.SetAside = c.setAside; got.SetAside == 0 {
				return
			}
			f := r.book.Check(1, got)
			require.Equal(t, c.want.String(), f.Kind.String(), f.Detail)
			require.Equal(t, c.events, f.Events, f.Detail)
			require.Equal(t, c.setAside, f.SetAside)
			require.NotEmpty(t, f.Detail)
			f = r.book.CheckUnfinished(1, got)
			require.Equal(t, c.unfinished.String(), f.Kind.String(), f.Detail)
			require.Equal(t, c.setAside, f.SetAside)
		})
	}
}

// partings are the states that the key may have with a list that holds all that follow, with the events in them.
func (r *deleting) partings() map[State]bool {
	runs := [][]int{nil}
	for i, o := range r.outcomes {
		var next [][]int
		for _, run := range runs {
			if o != Stored {
				next = append(next, run)
			}
			if o != NotStored {
				next = append(next, append(slices.Clone(run), i+1))
			}
		}
		runs = next
	}
	out := make(map[State]bool)
	for _, run := range runs {
		for at := range run { // the list is never empty
			got := r.apply(run[:at])
			got.SetAside = uint64(len(run) - at)
			out[got] = true
		}
	}
	return out
}

// A key with a list is right exactly if some choice of its events given up comes to its state and the length of its list.
func TestNoFaultIsSetAside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, run := drawHistory(t)
		if len(run) == 0 {
			return
		}
		at := rapid.IntRange(0, len(run)-1).Draw(t, "list begins at")
		before, list := run[:at], len(run)-at
		if rapid.Bool().Draw(t, "faulty") {
			before, list = mutate(t, before), rapid.IntRange(1, len(run)+1).Draw(t, "list")
		}
		got := r.apply(before)
		got.SetAside = uint64(list)
		f := r.book.Check(1, got)
		require.Equal(t, r.partings()[got], f.Kind == SetAside, "%v and %d: %s: %s", before, list, f.Kind, f.Detail)
		if !slices.Contains(r.outcomes, GivenUp) && !slices.Contains(r.deletes, true) && f.Kind == SetAside {
			require.EqualValues(t, len(before), f.Applied)
		}
		require.NotContains(t, []Kind{Fine, Unproven}, f.Kind)
	})
}

// Of a key whose shard is short of the log's end the list holds the first of the events that follow.
func TestAListMayBeUnfinished(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t, 1, 40)
		n := rapid.IntRange(1, 20).Draw(t, "events")
		sent := sendAll(b, 0, slices.Repeat([]Outcome{Stored}, n)...)
		at := rapid.IntRange(0, n-1).Draw(t, "list begins at")
		list := rapid.IntRange(1, n-at).Draw(t, "list")
		got := applied(sent[:at]...)
		got.SetAside = uint64(list)
		f := b.CheckUnfinished(0, got)
		require.EqualValues(t, at, f.Applied)
		require.EqualValues(t, list, f.SetAside)
		if left := n - at - list; left > 0 {
			require.Equal(t, Unfinished, f.Kind)
			require.EqualValues(t, left, f.Events)
			require.Equal(t, Lost, b.Check(0, got).Kind)
			return
		}
		require.Equal(t, SetAside, f.Kind)
	})
}

// Of a key of which events were dropped as well only the sum is compared.
func TestEventsSetAsideAndDropped(t *testing.T) {
	r := sendDeleting(t, []Outcome{Stored, Stored, GivenUp, Stored, Stored}, 2)
	for _, c := range []struct {
		count, dropped, setAside uint64
		want, unfinished         Kind
	}{
		{1, 1, 3, Dropped, Dropped},
		{1, 1, 2, Dropped, Dropped},
		{1, 3, 1, Dropped, Dropped},
		{1, 1, 1, Dropped, Dropped}, // after the one that deletes
		{4, 1, 1, Duplicated, Duplicated},
		{4, 1, 2, Duplicated, Duplicated},
		{0, 1, 1, Dropped, Dropped},
	} {
		got := State{Found: true, Proof: store.Proof{Count: c.count, Chain: 77, Dropped: c.dropped}, SetAside: c.setAside, Parked: true}
		f := r.book.Check(1, got)
		require.Equal(t, c.want.String(), f.Kind.String(), "%+v: %s", c, f.Detail)
		require.Equal(t, c.setAside, f.SetAside)
		require.True(t, f.Parked)
		f = r.book.CheckUnfinished(1, got)
		require.Equal(t, c.unfinished.String(), f.Kind.String(), "%+v: %s", c, f.Detail)
	}
}

// A parked key is as expected if its list begins with an event that fails.
func TestParkedAsExpected(t *testing.T) {
	const failing = 3
	b := newBookBy(t, func(d *load.Draw) load.Event {
		return load.Event{Payload: d.Content(), Fails: d.Counter == failing}
	}, 1, Payload{})
	sent := sendAll(b, 0, Stored, GivenUp, Stored, Stored)
	for _, c := range []struct {
		got      State
		expected bool
	}{
		{applied(sent[:2]...), true},
		{applied(sent[0]), true}, // without the one given up
		{applied(), false},
		{applied(sent[:3]...), false},
	} {
		c.got.SetAside, c.got.Parked = 4-max(1, c.got.Count), true
		if c.got.Count == 1 {
			c.got.SetAside = 2
		}
		f := b.Check(0, c.got)
		require.Equal(t, SetAside, f.Kind, f.Detail)
		require.Equal(t, c.expected, f.Expected, "%+v", c.got)
	}
	dropped := State{Found: true, Proof: store.Proof{Count: 1, Dropped: 1}, SetAside: 2, Parked: true}
	require.True(t, b.Check(0, dropped).Expected)
}

// The judge compares the content of lists too: a list must hold the events that follow, in order.
func TestContentOfLists(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes []Outcome
		applied  int
		list     []int // by counter
		want     Kind
	}{
		"all that follow":              {[]Outcome{s, s, s, s}, 1, []int{2, 3, 4}, SetAside},
		"the first one twice":          {[]Outcome{s, s, s, s}, 1, []int{2, 2, 4}, Reordered},
		"swapped":                      {[]Outcome{s, s, s, s}, 1, []int{3, 2, 4}, Reordered},
		"one that was applied":         {[]Outcome{s, s, s, s}, 1, []int{1, 3, 4}, Reordered},
		"fewer than told":              {[]Outcome{s, s, s, s}, 1, []int{2, 3}, Reordered},
		"more than told":               {[]Outcome{s, s, s, s}, 1, []int{2, 3, 4, 4}, Reordered},
		"one given up is in it":        {[]Outcome{s, s, g, s}, 1, []int{2, 3, 4}, SetAside},
		"one given up is not in it":    {[]Outcome{s, s, g, s}, 1, []int{2, 4}, SetAside},
		"one given up, at the end":     {[]Outcome{s, s, s, g}, 1, []int{2, 3}, SetAside},
		"one not stored is not in it":  {[]Outcome{s, s, n, s}, 1, []int{2, 4}, SetAside},
		"one not stored in its place":  {[]Outcome{s, s, n, s}, 1, []int{2, 3}, Reordered},
		"one given up, another gone":   {[]Outcome{s, s, g, s}, 1, []int{2, 3}, Reordered},
		"one given up, in wrong order": {[]Outcome{s, s, g, s}, 1, []int{2, 4, 3}, Reordered},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t, 1, 40)
			sent := sendAll(b, 0, c.outcomes...)
			got := applied(sent[:c.applied]...)
			got.SetAside = uint64(len(c.list))
			if name == "fewer than told" || name == "more than told" {
				got.SetAside = 3
			}
			f, err := b.CheckList(0, got, func(take func([]byte) error) error {
				for _, counter := range c.list {
					if err := take(sent[counter-1]); err != nil {
						return fmt.Errorf("read: %w", err)
					}
				}
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, c.want.String(), f.Kind.String(), f.Detail)
			require.Equal(t, got.SetAside, f.SetAside)
		})
	}

	b := newBook(t, 1, 40)
	got := applied(sendAll(b, 0, s)...)
	sendAll(b, 0, s)
	got.SetAside = 1
	_, err := b.CheckList(0, got, func(func([]byte) error) error { return io.ErrUnexpectedEOF })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
