package consume

import (
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// electFor bounds for how long events may wait when the server that makes consumers died, and the others must elect
// another: nats-server takes up to 9 s to begin, and a busy machine some more. A shard whose feed is deaf waits for ever.
const electFor = 30 * time.Second

// The server of a cluster dies, under load, that has a worker's consumers, and that makes consumers, so that for seconds there
// are no others.
func TestWorkerInAClusterWhoseServerDies(t *testing.T) {
	workerInACluster(t, func(_, maker *testkit.NATSNode) []crash { return []crash{{maker, electFor}} })
}

// The same with each server in turn, one that leads nothing among them, but for the one that the worker is connected to.
func TestLongWorkerInAClusterWhoseServersDie(t *testing.T) {
	testkit.Long(t)
	workerInACluster(t, func(spare, maker *testkit.NATSNode) []crash { return []crash{{spare, deafFor}, {maker, electFor}} })
}

// crash is the end of a server, and for how long events may wait after it.
type crash struct {
	victim *testkit.NATSNode
	bound  time.Duration
}

// workerInACluster kills servers that have the consumers of a worker, and brings them back. Log and buckets are led by the
// server that the worker is connected to. Events must still be applied, each once and in order.
func workerInACluster(t *testing.T, crashes func(spare, maker *testkit.NATSNode) []crash) {
	t.Parallel()
	servers := testkit.StartNATSCluster(t)
	home, spare, maker := servers.Roles(t)
	const shards = 3
	r := newRigIn(t, shards, testkit.Redis(t), home.Clients(t), len(servers.Nodes))
	w := r.worker()
	w.waits.tip = time.Hour // each shard has a consumer of its own, so that the test knows how many there are
	require.NoError(t, w.Start(background))
	consumers := map[string]int{r.stream(): shards, "KV_app_members": 1, "KV_app_claims": 1}
	for _, c := range crashes(spare, maker) {
		servers.AwaitReplicas(t)
		home.Lead(t, r.nats.Conn, "KV_app_topology")
		for stream := range consumers {
			home.Lead(t, r.nats.Conn, stream)
		}
		c.victim.Host(t, r.nats.Conn, consumers)
		for shard := range shards {
			r.send(shard, fmt.Sprint("before", shard))
		}
		r.applied()
		reopened, watched := w.log.count("opening the log again"), w.log.count("bucket watch restored")
		c.victim.Kill()
		longest := r.longestWait(func() bool {
			return w.log.count("opening the log again") >= reopened+shards && w.log.count("bucket watch restored") >= watched+2
		})
		t.Logf("an event waited for %s at most", longest.Round(time.Millisecond))
		require.Less(t, longest, c.bound)
		r.applied()
		c.victim.Start(t)
	}
}

// longestWait sends events to all shards until done, and until all are applied, and returns the longest time that one took.
func (r *rig) longestWait(done func() bool) (longest time.Duration) {
	r.t.Helper()
	type sentAt struct {
		seq uint64
		at  time.Time
	}
	waiting := make([][]sentAt, r.shards)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n, end := 0, time.Now().Add(time.Minute); ; n++ {
		require.True(r.t, time.Now().Before(end), "events wait, or the log does not say what must be in it: %v", waiting)
		over, left := done(), 0
		if !over {
			for shard := range r.shards {
				seq := r.send(shard, fmt.Sprintf("key%d-%d", shard, n%10))
				waiting[shard] = append(waiting[shard], sentAt{seq, time.Now()})
			}
		}
		stored, err := r.store().Shards(background, r.shards)
		require.NoError(r.t, err)
		for shard, sent := range waiting {
			for len(sent) > 0 && sent[0].seq <= stored[shard].Position.Seq {
				longest = max(longest, time.Since(sent[0].at))
				sent = sent[1:]
			}
			waiting[shard] = sent
			left += len(sent)
		}
		if over && left == 0 {
			return longest
		}
		<-tick.C
	}
}
