package redis

import (
	"context"
	"errors"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// Publishers implements store.Store.
func (s *Store) Publishers(
	ctx context.Context, shard int, version store.Version, take func(id string, encoded []byte) (added bool, err error),
) error {
	keys := []string{s.recordKey(shard)}
	read := scan{take: ofPublishers(take), page: func(ctx context.Context, cursor string) ([]any, error) {
		page, err := s.calls.alone(ctx, s.scripts.publishers, keys, []any{string(version), cursor, pageFields}).Slice()
		if errors.Is(err, redis.Nil) {
			err = store.ErrStale
		}
		return page, err
	}}
	return reading("the publishers", shard, read.all(ctx))
}

// ofPublishers takes the fields of a record, and hands on those of publishers.
func ofPublishers(take func(id string, encoded []byte) (bool, error)) func(field string, value []byte) (bool, error) {
	others := make(map[string]bool)
	return func(field string, value []byte) (added bool, err error) {
		if id, is := strings.CutPrefix(field, dedupPrefix); is {
			return take(id, value)
		}
		added = !others[field]
		others[field] = true
		return added, nil
	}
}
