package consume

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// manyPublishers is from when on the number of a shard's publishers is worth a line: reading them takes longer than a
// failover should.
const manyPublishers = 100_000

// claim announces the ownership, claims the shard in the store and reads the shard's record.
func (o *owner) claim() error {
	announcing, cancel := context.WithTimeout(o.link, feedAnswerTime)
	revision, err := o.own.Announce(announcing)
	cancel()
	if err != nil {
		return noAnswer(err)
	}
	rec, err := o.store.Claim(o.link, o.n, revision, store.NewVersion())
	if errors.Is(err, store.ErrTorn) {
		return o.emptyTorn(err)
	}
	if err != nil {
		return err
	}
	s := claimed(o.n, rec, &o.caches)
	s.rules = retryRules{attempts: uint64(o.cfg.Attempts), min: o.cfg.RetryMin, max: o.cfg.RetryMax}
	raised, err := topology.ParseCaps(rec.Caps)
	if err != nil {
		return fmt.Errorf("%w: shard %d: %w", store.ErrFormat, o.n, err)
	}
	kept, err := topology.LoadCaps(o.link, o.js, o.kv, o.n) // a slot that went back in time has lost them
	if err != nil {
		return noAnswer(err)
	}
	s.caps = o.cfg.capsOf(raised.Raised(kept))
	if err := o.store.Publishers(o.link, o.n, s.version, s.restore); err != nil {
		return err
	}
	if err := o.store.Heads(o.link, o.n, s.version, s.restoreList); err != nil {
		return err
	}
	owed, err := decodeOwed(s.owed)
	if err != nil {
		return fmt.Errorf("%w: shard %d: %w", store.ErrFormat, o.n, err)
	}
	if n := s.record.Len(); n >= manyPublishers {
		o.cfg.Log.Warn("shard remembers very many publishers; is one made for each event?", "shard", o.n, "publishers", n)
	}
	if err := confirm(o.link, o.own, revision, rec.Fence); err != nil {
		return err
	}
	if err := context.Cause(o.link); err != nil { // the lease must still be held after the claim
		return err
	}
	o.shard = s
	o.receipts.add(owed) // the owner before may have died before it sent them
	o.note(func(st *shardStatus) {
		st.begins(stateCatching)
		st.fence, st.position = s.fence, s.position
	})
	if s.position.Epoch != 0 && s.position.Epoch != o.epoch.Epoch {
		return fmt.Errorf("%w: shard %d has committed in epoch %d, the log is in epoch %d", errGap, o.n, s.position.Epoch, o.epoch.Epoch)
	}
	return nil
}

// emptyTorn empties the shard's slot, which a claim has found to be torn, so that the log fills it again. A slot that
// the janitor has relied on may have messages that are purged, and so may one whose log begins late for another reason: it stays
// as it is, and its shard stops.
func (o *owner) emptyTorn(torn error) error {
	stream, err := o.js.Stream(o.link, topology.StreamName(o.cfg.App, o.epoch.Epoch, o.epoch.Lane(o.n)))
	if err != nil {
		return noAnswer(err)
	}
	purged, err := topology.LoadPurged(o.link, o.js, o.kv, o.epoch.Epoch, o.epoch.Lane(o.n))
	if err != nil {
		return err
	}
	reaches, known := purged.Reaches(o.n, 0, stream.CachedInfo().State.FirstSeq)
	if purged.Shards[o.n] > 0 || !reaches || !known {
		return fmt.Errorf("%w; messages that made it are purged: restore this Redis, "+
			"or accept that the log's remaining messages are applied to an empty slot (worker accept-gap %d)", torn, o.n)
	}
	if err := o.store.Empty(o.link, o.n, store.MarkersOf(torn)); err != nil {
		return err
	}
	o.cfg.Log.Warn("shard's slot was torn and is emptied; it is filled again from the log", "shard", o.n, "cause", torn)
	return fmt.Errorf("%w: its slot was torn", errInterrupted)
}

// maxFenceLag is how far the revisions of the claims bucket may lie behind the stores' fences before the bucket counts as
// one that was made anew.
const maxFenceLag = 1000

// confirm makes sure, before a handler sees it, that the fence is larger than all that handlers have seen and that the
// next owner's will be larger still, even if the store goes back in time and forgets it. For that, no other worker must have
// announced an ownership after this one, and the claims bucket's revision must have reached the fence. It has not, if
// others claimed the shard late, under earlier announcements: each of them raised the fence by one.
func confirm(ctx context.Context, o group.Ownership, revision, fence uint64) error {
	for {
		var err error
		if revision, err = o.Confirm(ctx, revision); err != nil {
			return err
		}
		if revision >= fence || fence-revision > maxFenceLag {
			return nil
		}
	}
}
