package topology

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":2,"id":"x",` +
		`"epochs":[{"epoch":1,"shards":2,"lanes":1},{"epoch":9,"shards":4096,"lanes":4096,"ended":true}]}`))
	f.Add(encode(Topology{Schema: schema, Needs: Format, ID: "y", Created: time.Unix(1, 2).UTC(), Ready: true, Epochs: []Epoch{{Epoch: 1, Shards: 1, Lanes: 1}}, Log: initial.Log}))
	f.Add([]byte(`{"schema":3,"id":"x","epochs":[{"epoch":1,"shards":2,"lanes":1}]}`))
	f.Add([]byte(`{"schema":1,"id":"x","epochs":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		top, err := Decode(b)
		if err != nil {
			require.ErrorContains(t, err, "the topology cannot be read: ")
			require.Equal(t, Topology{}, top)
			return
		}
		require.NotEmpty(t, top.ID)
		last := uint64(0)
		for _, e := range top.Epochs {
			require.Greater(t, e.Epoch, last)
			last = e.Epoch
			require.LessOrEqual(t, e.Shards, MaxShards)
			require.Less(t, e.Lane(e.Shards-1), e.Lanes)
			found, ok := top.Epoch(e.Epoch)
			require.True(t, ok)
			require.Equal(t, e, found)
		}
		require.Equal(t, last, top.Current().Epoch)
		again, err := Decode(encode(top))
		require.NoError(t, err)
		want, err := json.Marshal(top)
		require.NoError(t, err)
		require.Equal(t, want, encode(again))
	})
}

// entry is one of a bucket's as the server sends it.
type entry struct {
	jetstream.KeyValueEntry
	key   string
	value []byte
	op    jetstream.KeyValueOp
}

func (e entry) Key() string                     { return e.key }
func (e entry) Value() []byte                   { return e.value }
func (e entry) Operation() jetstream.KeyValueOp { return e.op }
func (e entry) Created() time.Time              { return time.Unix(1_700_000_000, 0) }
func (e entry) Bucket() string                  { return "app_topology" }

// permits notes the calls of a Watcher to a router's permit.
type permits struct {
	delivered []string // routers
	suspended bool
	revoked   bool
}

func (p *permits) Delivered(router string, _ jetstream.KeyValueEntry) {
	p.delivered = append(p.delivered, router)
}
func (p *permits) Suspend(error) { p.suspended = true }
func (p *permits) Resume()       { p.suspended = false }
func (p *permits) Revoke()       { p.revoked = true }

// FuzzWatch delivers any entry of the bucket: permits are handed over, only a topology of ours takes the current one's place, and
// one that cannot be read suspends the permit.
func FuzzWatch(f *testing.F) {
	f.Add(PermitKey("me"), []byte(`{"renewal":2}`), true)
	f.Add(topologyKey, []byte(`{"schema":2,"id":"ours","epochs":[{"epoch":2,"shards":2,"lanes":1}]}`), true)
	f.Add(topologyKey, []byte(`{"schema":2,"needs":2,"id":"ours","epochs":[{"epoch":2,"shards":2,"lanes":1}]}`), true)
	f.Add(topologyKey, []byte(`{"schema":2,"id":"theirs","epochs":[{"epoch":1,"shards":2,"lanes":1}]}`), true)
	f.Fuzz(func(t *testing.T, key string, value []byte, put bool) {
		var p permits
		ours := Topology{Schema: schema, Needs: 1, ID: "ours", Epochs: []Epoch{{Epoch: 1, Shards: 1, Lanes: 1}}}
		next := ours
		next.Epochs = []Epoch{{Epoch: 1<<64 - 1, Shards: 1, Lanes: 1}}
		w := &Watcher{log: quiet, permit: &p, current: ours, changed: make(chan struct{}), replaced: make(chan struct{})}
		e := entry{key: key, value: value, op: jetstream.KeyValueDelete}
		if put {
			e.op = jetstream.KeyValuePut
		}
		w.deliver(e)
		w.deliver(e) // once more, as after a reconnect
		if router, ok := strings.CutPrefix(key, permitPrefix); ok {
			require.Equal(t, []string{router, router}, p.delivered)
		} else {
			require.Empty(t, p.delivered)
		}
		if now := w.Current(); key != topologyKey || !put {
			require.Equal(t, ours, now)
			require.False(t, p.revoked || p.suspended)
			require.NoError(t, w.Err())
		} else {
			require.Equal(t, "ours", now.ID)
			require.GreaterOrEqual(t, now.Current().Epoch, uint64(1))
			top, err := Decode(value)
			require.Equal(t, err != nil, p.suspended)
			require.Equal(t, err != nil, errors.Is(w.Err(), ErrUnreadable))
			select {
			case <-w.Replaced():
				require.NoError(t, err)
				require.NotEqual(t, "ours", top.ID)
				require.True(t, p.revoked)
				require.ErrorIs(t, w.Err(), ErrReplaced)
			default:
				require.True(t, err != nil || top.ID == "ours")
				require.False(t, p.revoked)
			}
			w.deliver(entry{key: topologyKey, value: encode(next), op: jetstream.KeyValuePut})
			require.Equal(t, next, w.Current())
			require.NoError(t, w.Err())
			require.False(t, p.suspended)
		}
	})
}

// FuzzPurged reads any record of a purge and merges another one with it: no position that was relied on is lowered.
func FuzzPurged(f *testing.F) {
	one, err := json.Marshal(Purged{First: 78, Shards: map[int]uint64{0: 77, 2: 3}}.after(Purged{}))
	require.NoError(f, err)
	f.Add(one, uint64(90), 2, uint64(80))
	f.Add([]byte(`{"schema":1,"first":7,"shards":null}`), uint64(1), 0, uint64(0))
	f.Add([]byte(`{"shards":{"-1":1,"01":2,"1":3}}`), uint64(1<<64-1), 1, uint64(1<<64-1))
	f.Add([]byte(`{"shards":{"x":1}}`), uint64(1), 0, uint64(0))
	f.Add([]byte(`null`), uint64(5), 4, uint64(4))
	f.Fuzz(func(t *testing.T, value []byte, first uint64, shard int, seq uint64) {
		before, err := decodePurged(value)
		more := Purged{First: first, Shards: map[int]uint64{shard: seq}}
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "read what was purged: "), "%v", err)
			require.Equal(t, Purged{}, before)
			return
		}
		require.LessOrEqual(t, len(before.Shards), len(value)/4)
		b, err := json.Marshal(more.after(before))
		require.NoError(t, err)
		after, err := decodePurged(b)
		require.NoError(t, err)
		require.Equal(t, max(first, before.First), after.First)
		for s, relied := range before.Shards {
			require.GreaterOrEqual(t, after.Shards[s], relied)
		}
		require.Equal(t, max(seq, before.Shards[shard]), after.Shards[shard])
		require.LessOrEqual(t, len(after.Shards), len(before.Shards)+1)
		for _, p := range []Purged{before, after} { // a store is refused rather than let go on over a hole
			if reaches, ok := p.Reaches(shard, seq, first); !reaches && ok {
				require.Greater(t, p.Shards[shard], seq)
			}
			reaches, ok := p.Reaches(shard, 0, 1)
			require.True(t, reaches && ok, "nothing is gone")
		}
	})
}
