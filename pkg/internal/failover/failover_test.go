package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutage(t *testing.T) {
	var o Outage
	begun := time.Now()
	at := func(seconds float64, servers int) bool {
		return o.Continues(begun.Add(time.Duration(seconds*float64(time.Second))), 2*time.Second, servers)
	}
	require.False(t, at(0, 3))
	require.False(t, at(1.9, 3))
	require.True(t, at(2, 3), "it has lasted")
	require.False(t, at(3.9, 3), "the next one has its time too")
	require.True(t, at(4, 3))
	require.True(t, at(6, 3), "the first again")
	require.False(t, at(9.9, 3), "and now more slowly")
	require.True(t, at(10, 3))
	require.True(t, at(14, 3))
	require.True(t, at(18, 3))
	require.False(t, at(25.9, 3))
	require.True(t, at(26, 3))
	o.End()
	require.False(t, at(61, 3))
	require.True(t, at(63, 3))
	require.False(t, at(79, 3), "nothing was noted for a while: it is another one")
	require.False(t, at(80.9, 3))
	require.True(t, at(81, 3))
	o.End()
	require.False(t, at(94, 1))
	require.False(t, at(100, 1), "there is no other")
}
