package group

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Entries behind which there is no process are found at once, however many there are: shards are assigned to them.
func TestGhostsAreRemovedAtOnce(t *testing.T) {
	c := newCluster(t, 16)
	members := c.start(2)
	for _, n := range []int{5, 300} {
		for i := range n {
			_, err := members[0].members.Put(background, fmt.Sprintf("ghost%d", i), []byte(`{"schema":1}`))
			require.NoError(t, err)
		}
		begun := time.Now()
		for _, m := range members {
			eventually(t, func() bool { return len(m.Members()) == 2 }, "ghosts")
		}
		c.settle(members...)
		t.Logf("%d ghosts: settled after %s", n, time.Since(begun).Round(time.Millisecond))
		require.Less(t, time.Since(begun), deafFor)
	}
}

// A stranger that answers every probe neither keeps a dead member alive, nor evicts one that lives.
func TestAnswersOfStrangersAreNone(t *testing.T) {
	c := newCluster(t, 6)
	members := c.start(3)
	var answered atomic.Int64
	_, err := c.nats.Conn.Subscribe(topology.ControlSubject("app", "presence.>"), func(m *nats.Msg) {
		_ = m.Respond(nil)
		_ = m.Respond(m.Data)
		_ = m.Respond(provenAnswer("0123456789abcdef", string(m.Data)))
		answered.Add(1)
	})
	require.NoError(t, err)
	eventually(t, func() bool { return answered.Load() > 100 }, "probes")
	for _, m := range members {
		require.Len(t, m.Members(), 3)
		require.Zero(t, m.metric("members_removed_total"))
	}
	members[0].nc.Close() // it dies
	for _, m := range members[1:] {
		eventually(t, func() bool { return len(m.Members()) == 2 }, "the dead member stays")
	}
}
