package consume

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func (r *rig) acceptGap(shard int) (string, error) {
	return AcceptGap(background, r.js, "app", shard, func(string) store.Store { return r.store() }, slog.New(slog.DiscardHandler))
}

// Each kind of gap, accepted by name: the shard goes on with what comes.
func TestAcceptGap(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*rig)
		stops  string
		says   string
	}{
		"the log lost its tail": {
			breaks: func(r *rig) { r.setPosition(store.Position{Epoch: 1, Seq: 99, Time: time.Now().Add(time.Hour)}) },
			stops:  "lost its tail", says: "goes on behind message 4",
		},
		"the log was made anew": {
			breaks: func(r *rig) { r.remake(); r.resend(2) },
			stops:  "made anew", says: "goes on behind message 0",
		},
		"messages are gone": {
			breaks: func(r *rig) { r.resend(4); r.purge(7) },
			stops:  "not by the janitor", says: "to 6 are gone",
		},
		"the store is empty and the log begins late": {
			breaks: func(r *rig) { r.purge(3); r.flush() },
			stops:  "begins at 3", says: "messages 1 to 2 are gone",
		},
		"the store went back behind what was purged": {
			breaks: func(r *rig) {
				require.NoError(r.t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 4, Shards: map[int]uint64{0: 3}}))
				r.purge(4)
				r.flush()
			},
			stops: "the next messages were purged", says: "to 3 are gone",
		},
		"a message that cannot be read": {
			breaks: func(r *rig) { r.put(0, append(batchFor(0), "garbage"...), nats.Header{}) },
			stops:  "cannot be read", says: "passes over message 5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			first := r.start()
			r.resend(4)
			r.applied()
			require.NoError(t, first.Stop(background))
			_, err := r.acceptGap(0)
			require.ErrorIs(t, err, ErrNoGap)
			c.breaks(r)
			w := r.worker()
			defer w.ownAlone(r)()
			stopped(t, w, c.stops)
			what, err := r.acceptGap(0)
			require.NoError(t, err)
			require.Contains(t, what, c.says)
			eventually(t, func() bool { return w.shard(0).State == stateRunning }, "goes on")
			r.send(0, "later")
			eventually(t, func() bool { return len(r.state("later")) == 1 }, "applies what comes")
		})
	}
	r := newRig(t, 1)
	_, err := r.acceptGap(7)
	require.ErrorContains(t, err, "there are shards 0 to 0")
}

// A stopped shard's owner looks from time to time whether it may go on, and may come between.
func TestAcceptGapWhileTheOwnerLooks(t *testing.T) {
	r := newRig(t, 1)
	r.setPosition(store.Position{Epoch: 1, Seq: 99, Time: time.Now()})
	between := &claimedBetween{Store: r.store(), times: 2}
	what, err := AcceptGap(background, r.js, "app", 0, func(string) store.Store { return between }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Contains(t, what, "goes on behind message 0")
	require.Zero(t, r.position(0))

	r.setPosition(store.Position{Epoch: 1, Seq: 99, Time: time.Now()})
	between.times = 1000
	_, err = AcceptGap(background, r.js, "app", 0, func(string) store.Store { return between }, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, store.ErrStale, "it does not go on for ever")
	require.EqualValues(t, 99, r.position(0))
}

// claimedBetween is a store whose shards are claimed by others before a commit, so many times.
type claimedBetween struct {
	store.Store
	times int
}

func (c *claimedBetween) Commit(ctx context.Context, commit *store.Commit) error {
	if c.times--; c.times >= 0 {
		if _, err := c.Claim(ctx, commit.Shard, 0, store.NewVersion()); err != nil {
			return err
		}
	}
	return c.Store.Commit(ctx, commit)
}

// What was purged on record is no gap to a shard that had committed it, though its position is gone too.
func TestPurgedPositionIsNoGap(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	r.resend(4)
	r.applied()
	require.NoError(t, w.Stop(background))
	require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 9, Shards: map[int]uint64{0: 4}}))
	for range 5 {
		_, err := r.js.Publish(background, topology.WorkSubject("app", 1, 0, 7), nil) // another shard's, if there were one
		require.NoError(t, err)
	}
	r.purge(9)
	r.start()
	r.resend(2)
	r.applied()
}

// A store that is wiped while no event comes is brought up to date all the same.
func TestIdleShardNoticesAWipedStore(t *testing.T) {
	r := newRig(t, 1)
	r.start()
	r.resend(4)
	r.applied()
	r.flush()
	r.applied()
}

// A shard that replays stops when the janitor, which had looked before the store was wiped, purges under it.
func TestPurgeUnderAReplay(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	r.resend(4)
	r.applied()
	require.NoError(t, w.Stop(background))
	r.flush()
	again := r.worker(func(c *Config) { c.RoundEvents = 1 })
	epoch := r.topo.Current()
	again.store, again.topology, again.kv = r.store(), r.topo, r.kv
	rec, err := again.store.Claim(background, 0, 1, store.NewVersion())
	require.NoError(t, err)
	o := newOwner(&again.shared, group.Ownership{Shard: 0})
	o.link, o.epoch, o.shard = background, epoch, claimed(0, rec, &again.caches)
	require.NoError(t, o.open())
	defer o.feed.close()
	require.NoError(t, o.checkPurged())
	require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 4, Shards: map[int]uint64{0: 3}}))
	r.purge(4)
	require.ErrorIs(t, o.checkPurged(), errGap)
	o.shard.position = store.Position{Epoch: 1, Seq: 3, Time: time.Unix(1, 0)}
	require.NoError(t, o.checkPurged(), "had committed it")
}
