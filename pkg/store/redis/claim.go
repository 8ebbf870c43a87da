package redis

import (
	"context"
	"fmt"
	"strconv"

	"example.com/lockstep/pkg/store"
)

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, shard int, revision uint64, version store.Version) (store.Record, error) {
	res, err := s.calls.alone(ctx, s.scripts.claim, s.slotKeys(shard), []any{s.topology, store.Format, revision, string(version)}).Slice()
	if err == nil {
		err = s.refusal(shard, res)
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("claim shard %d: %w", shard, err)
	}
	if len(res) != len(claimFields) {
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

// Empty implements store.Store.
func (s *Store) Empty(ctx context.Context, shard int, found store.Markers) error {
	res, err := s.calls.alone(ctx, s.scripts.empty, s.slotKeys(shard), []any{s.topology, store.Format, string(found)}).Slice()
	if err == nil {
		err = s.refusal(shard, res)
	}
	if err == nil && (len(res) == 0 || res[0] != "ok") {
		err = store.ErrStale
	}
	if err != nil {
		return fmt.Errorf("empty the torn slot of shard %d: %w", shard, err)
	}
	return nil
}

// claimFields are the fields that a claim returns.
var claimFields = []string{fieldFence, fieldPosition, fieldOwed, fieldLate, fieldLateLast, fieldCaps}

func setField(rec *store.Record, field, value string) (err error) {
	switch {
	case field == fieldFence:
		rec.Fence, err = strconv.ParseUint(value, 10, 64)
	case field == fieldPosition:
		rec.Position, err = store.ParsePosition(value)
	case field == fieldOwed && value != "":
		rec.Owed = []byte(value)
	case field == fieldLate:
		rec.Late, err = strconv.ParseUint(value, 10, 64)
	case field == fieldLateLast:
		rec.LateLast = value
	case field == fieldCaps:
		rec.Caps = value
	}
	return err
}
