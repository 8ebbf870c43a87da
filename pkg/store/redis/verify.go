package redis

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/store"
)

// Verify implements store.Store.
func (s *Store) Verify(ctx context.Context, shard int, version store.Version) error {
	res, err := s.calls.run(ctx, s.scripts.verify, s.slotKeys(shard), []any{string(version)}).Slice()
	if err != nil {
		return fmt.Errorf("verify shard %d: %w", shard, err)
	}
	if len(res) == 0 || res[0] != "" {
		return store.ErrStale
	}
	return nil
}

// Intact implements store.Store.
func (s *Store) Intact(ctx context.Context, shard int) (store.Shard, error) {
	res, err := s.calls.alone(ctx, s.scripts.verify, s.slotKeys(shard), []any{"", s.topology, store.Format}).Slice()
	if err == nil {
		err = s.refusal(shard, res)
	}
	if err != nil {
		return store.Shard{}, fmt.Errorf("verify shard %d: %w", shard, err)
	}
	if len(res) != 1+len(shardFields) {
		return store.Shard{}, fmt.Errorf("verify shard %d: Redis returned %d values", shard, len(res))
	}
	out := readShard(res[1:])
	if out.Err != nil {
		return store.Shard{}, fmt.Errorf("read %s: %w", s.recordKey(shard), out.Err)
	}
	return out, nil
}
