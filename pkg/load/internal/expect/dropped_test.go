package expect

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/store"
)

// Of a key with dropped events the sum is compared, and the key is listed.
func TestDroppedEvents(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes       []Outcome
		deletes        []int
		count, dropped uint64
		want           Kind
		events         uint64
		unfinished     Kind
	}{
		"one of three":                         {[]Outcome{s, s, s}, nil, 2, 1, Dropped, 1, Dropped},
		"all":                                  {[]Outcome{s, s, s}, nil, 0, 3, Dropped, 3, Dropped},
		"one, and one is lost":                 {[]Outcome{s, s, s}, nil, 1, 1, Lost, 1, Unfinished},
		"one, and one is doubled":              {[]Outcome{s, s, s}, nil, 3, 1, Duplicated, 1, Duplicated},
		"one, another given up":                {[]Outcome{s, g, s}, nil, 1, 1, Dropped, 1, Dropped},
		"one, another given up and applied":    {[]Outcome{s, g, s}, nil, 2, 1, Dropped, 1, Dropped},
		"one, another not stored":              {[]Outcome{s, n, s}, nil, 2, 1, Duplicated, 1, Duplicated},
		"one after one that deletes":           {[]Outcome{s, s, s, s}, []int{2}, 1, 1, Dropped, 1, Dropped},
		"the one that deletes":                 {[]Outcome{s, s, s, s}, []int{2}, 3, 1, Dropped, 1, Dropped},
		"one that deletes, and another lost":   {[]Outcome{s, s, s, s, s}, []int{4}, 3, 1, Duplicated, 3, Unfinished},
		"one, but two that delete are missing": {[]Outcome{s, s, s, s, s}, []int{2, 4}, 4, 1, Duplicated, 4, Unfinished},
		"one after one that deletes, one gone": {[]Outcome{s, s, s, s, s}, []int{2}, 1, 1, Lost, 1, Unfinished},
	} {
		r := sendDeleting(t, c.outcomes, c.deletes...)
		got := State{Found: c.count > 0, Proof: store.Proof{Count: c.count, Chain: 77, Dropped: c.dropped}}
		f := r.book.Check(1, got)
		require.Equal(t, c.want.String(), f.Kind.String(), "%s: %s", name, f.Detail)
		require.Equal(t, c.events, f.Events, name)
		require.NotEmpty(t, f.Detail)
		f = r.book.CheckUnfinished(1, got)
		require.Equal(t, c.unfinished.String(), f.Kind.String(), "%s, unfinished: %s", name, f.Detail)
	}
}
