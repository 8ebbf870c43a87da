package consume

import (
	"context"
	"fmt"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// account is the size of what a ledger keeps for a key.
type account struct {
	Balance int64  `json:"balance"`
	Events  uint64 `json:"events"`
	Digest  uint64 `json:"digest"`
}

// What lives in a worker is bounded by the cache's budget, with a million keys as with a thousand.
func TestLiveHeapWithManyKeys(t *testing.T) {
	const keys, perRound, shards = 1_000_000, 4000, 16
	h := Typed(func(_ context.Context, a *account, ev Event) error {
		a.Balance++
		a.Events++
		a.Digest = a.Digest*31 + ev.seq<<40 + 1<<62
		return nil
	})
	b := &budget{max: DefaultCacheBytes}
	before := heapBytes()
	var owned []*shard
	for n := range shards {
		owned = append(owned, claimed(n, store.Record{}, b))
	}
	r := testRound()
	for i := 0; i < keys; i += perRound {
		s := owned[i/perRound%shards]
		p := sent{publisher: 1, generation: 1, floor: uint64(i + 1)}
		for k := i; k < i+perRound; k++ {
			p.events = append(p.events, sentEvent{seq: uint64(k + 1), key: fmt.Sprintf("load-abcdefgh-%07d", k)})
		}
		require.NoError(t, r.add(batchAt(uint64(i+1), p)))
		s.fill(make([][]byte, len(s.missing(r))))
		require.Empty(t, runPass(s, h, r))
		c, end := s.commit(h, r, epochStart)
		s.committed(c, r, end)
		require.True(t, r.done())
		r.reset()
	}
	live := heapBytes() - before
	cached := 0
	for _, s := range owned {
		cached += len(s.cache.entries)
	}
	t.Logf("%d of %d keys in the cache, reckoned at %d KiB; %d KiB alive", cached, keys, b.used.Load()>>10, live>>10)
	require.LessOrEqual(t, b.used.Load(), b.max)
	require.Greater(t, cached, 100_000)
	require.Less(t, live, int64(DefaultCacheBytes))
}
