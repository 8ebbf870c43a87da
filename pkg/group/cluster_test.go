package group

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// The server of a cluster dies that has the members' watches, and that makes consumers, so that for seconds there are no
// others.
func TestMembersInAClusterWhoseServerDies(t *testing.T) {
	membersInACluster(t, func(_, maker *testkit.NATSNode) []*testkit.NATSNode { return []*testkit.NATSNode{maker} })
}

// The same with each server in turn, one that leads nothing among them, but for the one that the members are connected to.
func TestLongMembersInAClusterWhoseServersDie(t *testing.T) {
	testkit.Long(t)
	membersInACluster(t, func(spare, maker *testkit.NATSNode) []*testkit.NATSNode { return []*testkit.NATSNode{spare, maker} })
}

// membersInACluster kills servers that have the members' watches, and brings them back. The buckets are led by the server
// that all are connected to. Members must still hear of members and of claims, and an onlooker of owners.
func membersInACluster(t *testing.T, victims func(spare, maker *testkit.NATSNode) []*testkit.NATSNode) {
	t.Parallel()
	servers := testkit.StartNATSCluster(t)
	home, spare, maker := servers.Roles(t)
	c := newClusterOn(t, 4, home.Clients(t), len(servers.Nodes))
	var logs [2]testkit.Log
	var members []*member
	for i := range logs {
		m := c.member(func(cfg *Config) { cfg.Log = logs[i].Logger() })
		m.steadyBefore = time.Hour // nobody is judged, so that the members below stay
		require.NoError(t, m.Start(t.Context()))
		members = append(members, m)
	}
	c.settle(members...)
	told := &changes{owner: make(map[int]string)}
	onlooker, err := Watch(t.Context(), c.nats.Conn, "app", told.changed)
	require.NoError(t, err)
	defer onlooker.Stop()
	watches := map[string]int{"KV_app_members": len(members) + 1, "KV_app_claims": len(members) + 1}

	next := 1000
	// change makes a member that joins, claims a shard of its own and leaves, and returns how long it took to be known.
	change := func() time.Duration {
		next++
		id, shard := fmt.Sprintf("ghost%d", next), next
		body, err := json.Marshal(claim{Schema: 1, Member: id})
		require.NoError(t, err)
		begun := time.Now()
		for _, put := range []struct {
			kv  jetstream.KeyValue
			key string
		}{{members[0].members, id}, {members[0].claims, claimKey(shard)}} {
			_, err = put.kv.Put(t.Context(), put.key, body)
			require.NoError(t, err)
		}
		eventually(t, func() bool { return told.of(1, id)() }, "the onlooker does not hear of %s", id)
		for _, m := range members {
			eventually(t, func() bool { return m.knows(id, shard) }, "a member does not hear of %s", id)
		}
		require.NoError(t, members[0].members.Delete(t.Context(), id))
		for _, m := range members {
			eventually(t, func() bool { return !slices.Contains(m.Members(), id) }, "a member does not hear that %s is gone", id)
		}
		return time.Since(begun)
	}
	change()
	for _, victim := range victims(spare, maker) {
		servers.AwaitReplicas(t)
		home.Lead(t, c.nats.Conn, "KV_app_members", "KV_app_claims")
		victim.Host(t, c.nats.Conn, watches)
		var before [len(logs)]int
		for i := range logs {
			before[i] = logs[i].Count(broke)
		}
		victim.Kill()
		longest, end := change(), time.Now().Add(time.Minute)
		for i := range logs {
			for logs[i].Count(broke) < before[i]+len(watches) {
				require.True(t, time.Now().Before(end), "a member does not log that its watches broke: %s", &logs[i])
				longest = max(longest, change())
			}
		}
		t.Logf("a change was known after %s at most", longest.Round(time.Millisecond))
		require.Less(t, longest, deafFor)
		c.settle(members...)
		victim.Start(t)
	}
	c.board.requireNeverDoubled(t)
}

// broke is what a member logs when it is deaf.
const broke = `msg="bucket watch broke; reopening it"`

// knows tells whether this member has heard that a member joined, and that it claimed a shard.
func (m *member) knows(id string, shard int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision[id] > 0 && m.claimed[shard].Member == id
}
