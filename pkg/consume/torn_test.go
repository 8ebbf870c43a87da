package consume

import (
	"fmt"
	"strings"
	"testing"

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
				states, err := r.store().States(background, 1, []string{"more"})
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
