package expect

import (
	"errors"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTally(t *testing.T) {
	var tally Tally
	tally.Add("a", Finding{Applied: 5})
	require.True(t, tally.Clean())
	require.Equal(t, []string{}, tally.Violations(), "an empty list, not null")
	tally.Add("u", Finding{Kind: Unfinished, Events: 4, Applied: 1, Detail: "1 of 5"})
	tally.Add("v", Finding{Kind: Dropped, Events: 6, Applied: 2, Detail: "6 of 8 events dropped"})
	tally.Add("w", Finding{Deleted: true})
	tally.Add("x", Finding{Kind: SetAside, Events: 3, SetAside: 3, Detail: "1 applied and 3 set aside of 4"})
	tally.Add("y", Finding{Kind: Unfinished, SetAside: 4, Parked: true, Detail: "4 parked"})
	tally.Add("z", Finding{Kind: SetAside, Events: 5, SetAside: 5, Parked: true, Expected: true, Detail: "5 parked"})
	require.True(t, tally.Clean(), "none is a violation")
	require.Equal(t, []uint64{12, 3, 9, 2, 1}, []uint64{tally.SetAside, tally.SetAsideKeys, tally.Parked, tally.ParkedKeys, tally.Expected})
	require.Equal(t, []string{"key x (set aside): 1 applied and 3 set aside of 4", "key y (parked): 4 parked", "key z (parked as expected): 5 parked"}, tally.Lists())
	require.Equal(t, []string{"key v: 6 of 8 events dropped"}, tally.Drops())
	tally.Add("b", Finding{Kind: Lost, Events: 3, Applied: 2, Detail: "2 of 5"})
	tally.Add("c", Finding{Kind: Duplicated, Events: 2, Applied: 7, Detail: "7, not 5"})
	tally.Add("d", Finding{Kind: Reordered, Applied: 5, Detail: "chain"})
	tally.Add("e", Finding{Kind: Unproven, Events: 5, Detail: "no state"})
	tally.Refuse("f", errors.New("overdrawn"))
	for i := range 30 {
		tally.AddUnread(strconv.Itoa(i), "no answer")
	}
	require.EqualValues(t, 22, tally.Applied)
	require.EqualValues(t, 4, tally.Unfinished)
	require.EqualValues(t, 6, tally.Dropped)
	require.EqualValues(t, 1, tally.Unproven)
	require.EqualValues(t, 1, tally.Deleted)
	require.EqualValues(t, 1, tally.Refused)
	require.EqualValues(t, 3, tally.Lost)
	require.EqualValues(t, 2, tally.Duplicated)
	require.EqualValues(t, 1, tally.Reordered)
	require.EqualValues(t, 30, tally.UnknownKeys)
	v := tally.Violations()
	require.Len(t, v, MaxViolations+1)
	require.Equal(t, "lost: key b: 2 of 5", v[0])
	require.Equal(t, "refused by Check: key f: overdrawn", v[4])
	require.Equal(t, "and 15 more", v[MaxViolations])
	require.False(t, tally.Clean())
}
