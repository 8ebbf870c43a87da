package consume

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// tears are the ways in which a part of shard 0's slot goes missing.
var tears = map[string]func(*rig){
	"record":           func(r *rig) { require.NoError(r.t, r.rdb.Del(background, recordKey).Err()) },
	"bucket of states": func(r *rig) { require.NoError(r.t, r.rdb.Del(background, fullestBucket(r)).Err()) },
	"an old bucket": func(r *rig) {
		require.NoError(r.t, r.rdb.HSet(background, fullestBucket(r), "", string(store.NewVersion())).Err())
	},
	"bucket of lists": func(r *rig) { require.NoError(r.t, r.rdb.Del(background, "{app:0}:aside:15").Err()) },
}

// fullestBucket is the largest of shard 0's hashes of states.
func fullestBucket(r *rig) (fullest string) {
	most := int64(0)
	for n := range 16 {
		bucket := fmt.Sprintf("{app:0}:state:%d", n)
		if fields := r.rdb.HLen(background, bucket).Val(); fields > most {
			fullest, most = bucket, fields
		}
	}
	return fullest
}

// A slot loses a part while its worker is away or at work. Applying the log to what is left would lose or double events: the
// slot is emptied, and the log fills it again.
func TestTornSlotIsFilledFromTheLog(t *testing.T) {
	for name, tear := range tears {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			w := r.start()
			for i := range 40 {
				r.send(i%2, fmt.Sprint(i%2, i%5))
			}
			r.applied()
			tear(r)
			for i := range 40 {
				r.send(i%2, fmt.Sprint(i%2, i%5))
			}
			r.applied()
			eventually(t, func() bool { return strings.Contains(w.log.String(), "shard's slot was torn and is emptied") }, "found torn")
			r.applied()
			require.NoError(t, w.Stop(background))
			tear(r)
			r.send(0, "0 0")
			r.start()
			r.applied()
		})
	}
}

// Messages that made a torn slot's states are purged: a replay would come to other states. So the shard stops, nothing of the
// slot is touched, and it goes on when its operator accepts what is lost.
func TestTornSlotWhoseMessagesArePurgedStops(t *testing.T) {
	for name, tear := range tears {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			w := r.start()
			for i := range 40 {
				r.send(i%2, fmt.Sprint(i%2, i%5))
			}
			r.applied()
			require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 20, Shards: map[int]uint64{0: 19, 1: 18}}))
			r.purge(20)
			tear(r)
			eventually(t, func() bool { return strings.HasPrefix(w.shard(0).State, stateStopped) }, "not stopped")
			require.Contains(t, w.shard(0).State, "accept-gap 0")
			before := r.rdb.DBSize(background).Val()
			r.send(0, "later")
			r.send(1, "more")
			eventually(t, func() bool {
				states, _, err := r.store().States(background, 1, []string{"more"})
				return err == nil && states[0] != nil
			}, "the other shard goes on")
			require.Equal(t, before, r.rdb.DBSize(background).Val(), "nothing is removed or made anew")
			gap, err := r.acceptGap(0)
			require.NoError(t, err)
			require.Contains(t, gap, "shard 0")
			eventually(t, func() bool { return len(r.state("later")) == 1 }, "applies what comes")
			require.Len(t, r.state("0 0"), 2, "what the log still has")
		})
	}
}

// Messages of a torn slot were removed by an operator. The log cannot fill the slot again: its shard stops, and nothing of it is
// touched.
func TestTornSlotWhoseMessagesAreRemovedStops(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	for i := range 10 {
		r.send(0, fmt.Sprint("0 ", i%5))
	}
	r.applied()
	r.purge(5)
	tears["bucket of lists"](r)
	eventually(t, func() bool { return strings.Contains(w.shard(0).State, "accept-gap 0") }, "not stopped")
	require.Equal(t, int64(32), r.rdb.Exists(background, slotKeys...).Val())
	require.NotContains(t, w.log.String(), "is emptied")
	what, err := r.acceptGap(0)
	require.NoError(t, err)
	require.Contains(t, what, "messages 1 to 4 are gone")
	eventually(t, func() bool { return len(r.state("0 0")) == 1 }, "applies what the log has")
}

// The janitor has noted a purge that never happened. An operator lets the log fill the torn slot.
func TestTornSlotWhoseMessagesAreAllThere(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	for i := range 10 {
		r.send(0, fmt.Sprint("0 ", i%5))
	}
	r.applied()
	require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 5, Shards: map[int]uint64{0: 4}}))
	tears["record"](r)
	eventually(t, func() bool { return strings.Contains(w.shard(0).State, "accept-gap 0") }, "not stopped")
	what, err := r.acceptGap(0)
	require.NoError(t, err)
	require.Contains(t, what, "the log has all its messages")
	r.applied()
	_, err = r.acceptGap(0)
	require.ErrorIs(t, err, ErrNoGap)
}

// A Redis that has just been reached again may have no answer yet: the slot is compared when it has one, though its shard is never
// idle.
func TestComparisonWithoutAnswerIsMadeAgain(t *testing.T) {
	r := newRig(t, 1)
	refused := new(atomic.Int32)
	w := r.worker(func(c *Config) {
		open := c.Store
		c.Store = func(id string) store.Store { return refusing{open(id), refused} }
	})
	w.waits.idle = time.Hour
	require.NoError(t, w.Start(background))
	r.send(0, "a")
	r.applied()
	refused.Store(1)
	tears["bucket of lists"](r)
	w.reconnects.Add(1)
	for range 2 {
		r.send(0, "a")
		r.applied()
	}
	eventually(t, func() bool { return strings.Contains(w.log.String(), "is emptied") }, "not found torn")
	r.applied()
}

// refusing is a store that does not answer some calls of Verify.
type refusing struct {
	store.Store
	left *atomic.Int32
}

func (s refusing) Reconnected() <-chan struct{} { return nil } // a test counts connections

func (s refusing) Verify(ctx context.Context, shard int, version store.Version) error {
	if s.left.Add(-1) >= 0 {
		return errors.New("LOADING Redis is loading the dataset in memory")
	}
	return s.Store.Verify(ctx, shard, version)
}

// slotKeys are shard 0's.
var slotKeys = func() []string {
	keys := []string{recordKey}
	for i := range 16 {
		keys = append(keys, fmt.Sprintf("{app:0}:state:%d", i), fmt.Sprintf("{app:0}:aside:%d", i))
	}
	return keys
}()

// An owner that found a slot torn is frozen before it empties it. Another owner empties and fills the slot, messages are purged,
// and the slot is torn once more. The first owner's late call touches nothing of it: only an operator may give it up.
func TestFrozenOwnerEmptiesOnlyTheSlotThatItFound(t *testing.T) {
	for name, tear := range tears {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			w := r.start()
			for i := range 10 {
				r.send(0, fmt.Sprint("0 ", i%5))
			}
			r.applied()
			require.NoError(t, w.Stop(background))
			tear(r)
			_, found := r.store().Claim(background, 0, 1, store.NewVersion())
			require.ErrorIs(t, found, store.ErrTorn)
			w = r.start()
			eventually(t, func() bool { return strings.Contains(w.log.String(), "is emptied") }, "found torn")
			r.applied()
			require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 5, Shards: map[int]uint64{0: 4}}))
			r.purge(5)
			tear(r)
			eventually(t, func() bool { return strings.Contains(w.shard(0).State, "accept-gap 0") }, "not stopped")
			before := r.rdb.Exists(background, slotKeys...).Val()
			require.ErrorIs(t, r.store().Empty(background, 0, store.MarkersOf(found)), store.ErrStale)
			require.Equal(t, before, r.rdb.Exists(background, slotKeys...).Val())
		})
	}
}
