package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

const (
	// pageFields is about how many fields of a record one script reads, in some 2 us each.
	pageFields = 500
	// scanTries is how often a record is read until it is complete.
	scanTries = 5
)

// Publishers implements store.Store. It reads page by page, each under the version, which every write to the record changes;
// so the record does not change between pages. The cursor may be lost, however: after a failover or a restart the same fields
// lie in another order, and a cursor would skip some. So it counts the fields, and reads again if any are missing.
func (s *Store) Publishers(
	ctx context.Context, shard int, version store.Version, take func(id string, encoded []byte) (added bool, err error),
) error {
	read := scan{store: s, shard: shard, version: version, take: take, others: make(map[string]bool)}
	for range scanTries {
		if all, err := read.run(ctx); all || errors.Is(err, store.ErrStale) {
			return err
		} else if err != nil {
			return fmt.Errorf("read the publishers of shard %d: %w", shard, err)
		}
	}
	return fmt.Errorf("read the publishers of shard %d: still incomplete after %d attempts", shard, scanTries)
}

// scan is one reading of a record.
type scan struct {
	store   *Store
	shard   int
	version store.Version
	take    func(id string, encoded []byte) (added bool, err error)

	added  int
	others map[string]bool // fields other than a publisher's
}

// run reads all pages, and tells whether every field has been read, in this run or an earlier one.
func (s *scan) run(ctx context.Context) (all bool, err error) {
	for cursor := "0"; ; {
		keys, args := []string{s.store.recordKey(s.shard)}, []any{string(s.version), cursor, pageFields}
		page, err := s.store.calls.alone(ctx, s.store.scripts.publishers, keys, args).Slice()
		if errors.Is(err, redis.Nil) {
			return false, store.ErrStale
		}
		if err != nil {
			return false, err
		}
		total, next, err := s.add(page)
		if err != nil {
			return false, err
		}
		if next == "0" {
			return total == s.added+len(s.others), nil
		}
		cursor = next
	}
}

// add takes a page and returns the record's number of fields and the next cursor.
func (s *scan) add(page []any) (total int, next string, err error) {
	if len(page) != 3 {
		return 0, "", fmt.Errorf("page of %d values, wanted 3", len(page))
	}
	n, _ := page[0].(int64)
	next, _ = page[1].(string)
	fields, _ := page[2].([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		field, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		id, is := strings.CutPrefix(field, dedupPrefix)
		if !is {
			s.others[field] = true
			continue
		}
		added, err := s.take(id, []byte(value))
		if err != nil {
			return 0, "", err
		}
		if added {
			s.added++
		}
	}
	return int(n), next, nil
}
