package group

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

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
func (e entry) Revision() uint64                { return 7 }

func put(key string, value []byte) entry {
	return entry{key: key, value: value, op: jetstream.KeyValuePut}
}

// FuzzClaim reads a claim as members and watchers do: whom they take for a shard's owner.
func FuzzClaim(f *testing.F) {
	own := (&Group{id: "00ff"}).claim()
	f.Add(claimKey(0), own, true)
	f.Add(claimKey(4095), own, true)
	f.Add(claimKey(3), own, false)
	f.Add(claimKey(3), []byte(`{"member":7}`), true)
	f.Add(claimKey(3), []byte(`{}`), true)
	f.Add("shard.", own, true)
	f.Add("shard.-1", own, true)
	f.Add("another", own, true)
	f.Fuzz(func(t *testing.T, key string, value []byte, is bool) {
		e := put(key, value)
		if !is {
			e.op = jetstream.KeyValueDelete
		}
		g := &Group{cfg: Config{Log: slog.New(slog.DiscardHandler)}, claimed: map[int]claim{3: {Member: "before"}}}
		told := 0
		w := &Watcher{names: make(map[string]string), owners: make(map[int]claim), synced: true, changed: func(int, string) { told++ }}
		for range 2 { // once more, as after a reconnect
			g.claimChanged(e)
			w.claim(e)
		}
		require.LessOrEqual(t, len(g.claimed), 2)
		require.LessOrEqual(t, told, 1, "the same once more is no change")
		var c claim
		readable := json.Unmarshal(value, &c) == nil
		for shard, got := range g.claimed {
			switch {
			case shard == 3 && got == claim{Member: "before"}:
			case is:
				require.True(t, readable)
				require.Equal(t, c, got)
				back, err := json.Marshal(got)
				require.NoError(t, err)
				var again claim
				require.NoError(t, json.Unmarshal(back, &again))
				require.Equal(t, got, again)
			default:
				require.Equal(t, claim{}, got, "taken away")
			}
		}
		if shard, err := strconv.ParseUint(key[min(len(key), len("shard.")):], 10, 12); err == nil && key == claimKey(int(shard)) && is && readable {
			require.Equal(t, c, g.claimed[int(shard)])
			require.Equal(t, c, w.owners[int(shard)])
		}
	})
}

// FuzzMember reads a member's entry. What is in it is for people: that it is there is what counts.
func FuzzMember(f *testing.F) {
	self, err := json.Marshal(Member{Schema: 1, Name: "worker-1"})
	require.NoError(f, err)
	f.Add("00ff", self, true)
	f.Add("me", self, true)
	f.Add("00ff", self, false)
	f.Add("00ff", []byte(`{"name":1}`), true)
	f.Add("", []byte(nil), true)
	f.Fuzz(func(t *testing.T, key string, value []byte, is bool) {
		e := put(key, value)
		if !is {
			e.op = jetstream.KeyValuePurge
		}
		g := &Group{
			cfg: Config{Log: slog.New(slog.DiscardHandler), Shards: 2}, id: "me", metrics: newMetrics("app", nil), present: context.Background(),
			revision: make(map[string]uint64), proofs: make(map[string]string), seats: []*seat{newSeat(0), newSeat(1)},
		}
		w := &Watcher{names: make(map[string]string)}
		g.membersBegin()
		g.memberChanged(put("me", nil))
		g.memberChanged(nil)
		require.Equal(t, []string{"me"}, g.Members())
		if key == "me" && !is {
			return // it joins again
		}
		g.memberChanged(e)
		w.member(e)
		_, there := g.revision[key]
		require.Equal(t, is, there)
		require.LessOrEqual(t, len(g.Members()), 2)
		require.LessOrEqual(t, len(w.names), 1)
		owned := 0
		for _, s := range g.seats {
			if wanted, _ := s.state(); wanted {
				owned++
			}
		}
		require.Equal(t, 2/len(g.Members()), owned, "each its share")
		g.membersBegin()
		g.memberChanged(put("me", nil))
		g.memberChanged(nil)
		require.Equal(t, []string{"me"}, g.Members())
	})
}

// FuzzReleased takes word of shards that were released: it wakes these, and nobody else.
func FuzzReleased(f *testing.F) {
	f.Add([]byte(`[0,1]`))
	f.Add([]byte(`[-1,2,1e9,7]`))
	f.Add([]byte(`{"shards":[0]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &Group{seats: []*seat{newSeat(0), newSeat(1), newSeat(2)}}
		g.released(&nats.Msg{Data: data})
		var shards []int
		err := json.Unmarshal(data, &shards)
		for _, s := range g.seats {
			named := false
			for _, n := range shards {
				named = named || n == s.shard
			}
			require.Equal(t, err == nil && named, len(s.changed) == 1, "shard %d", s.shard)
		}
	})
}
