package redis

import (
	"context"
	"fmt"
	"strconv"

	"example.com/lockstep/pkg/store"
)

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, shard int, revision uint64, version store.Version) (store.Record, error) {
	keys := []string{s.shardKey(shard), s.stampKey(), s.claimedKey()}
	res, err := claimScript.Run(ctx, s.rdb, keys, s.topology, revision, string(version), shard).Slice()
	if err != nil {
		return store.Record{}, fmt.Errorf("claim shard %d: %w", shard, err)
	}
	switch {
	case len(res) == 2 && res[0] == "topology":
		return store.Record{}, s.otherTopology(fmt.Sprint(res[1]))
	case len(res) == 1 && res[0] == "gone":
		return store.Record{}, fmt.Errorf("%w: %s is missing, though shard %d was claimed in this Redis before: rename it back or restore this Redis; "+
			"or stop the workers and delete all keys %s:*, and the store is filled from the log as far as its history reaches",
			store.ErrGone, s.shardKey(shard), shard, s.app)
	case len(res) != len(claimFields):
		return store.Record{}, fmt.Errorf("claim shard %d: Redis returned %d values", shard, len(res))
	}
	rec := store.Record{Version: version}
	for i, field := range claimFields {
		if value, is := res[i].(string); is {
			if err := setField(&rec, field, value); err != nil {
				return store.Record{}, fmt.Errorf("claim shard %d: field %s: %w", shard, field, err)
			}
		}
	}
	return rec, nil
}

// claimFields are the fields that a claim returns.
var claimFields = []string{fieldFence, fieldPosition, fieldRoundStart, fieldLate, fieldLateLast}

func setField(rec *store.Record, field, value string) (err error) {
	switch {
	case field == fieldFence:
		rec.Fence, err = strconv.ParseUint(value, 10, 64)
	case field == fieldPosition:
		rec.Position, err = store.ParsePosition(value)
	case field == fieldRoundStart:
		rec.RoundStart, err = strconv.ParseUint(value, 10, 64)
	case field == fieldLate:
		rec.Late, err = strconv.ParseUint(value, 10, 64)
	case field == fieldLateLast:
		rec.LateLast = value
	}
	return err
}
