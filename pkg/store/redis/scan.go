package redis

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/store"
)

const (
	// pageFields is about how many fields of a hash one script reads, in some 2 us each.
	pageFields = 500
	// scanTries is how often a hash is read until it is complete.
	scanTries = 5
)

// scan is one reading of a hash, page by page, each under the version, which every write to the slot changes; so the hash does not
// change between pages. The cursor may be lost, however: after a failover or a restart the same fields lie in another order, and a
// cursor would skip some. So a scan counts the fields, and reads again if any are missing.
type scan struct {
	page func(ctx context.Context, cursor string) ([]any, error)  // the hash's number of fields, the next cursor, some fields with their values
	take func(field string, value []byte) (added bool, err error) // true for a field that comes for the first time

	added int
}

// all reads the hash until it is complete.
func (s *scan) all(ctx context.Context) error {
	for range scanTries {
		if complete, err := s.once(ctx); complete || err != nil {
			return err
		}
	}
	return fmt.Errorf("still incomplete after %d attempts", scanTries)
}

// once reads all pages, and tells whether every field has been read, in this reading or an earlier one.
func (s *scan) once(ctx context.Context) (complete bool, err error) {
	for cursor := "0"; ; {
		page, err := s.page(ctx, cursor)
		if err != nil {
			return false, err
		}
		total, next, err := s.add(page)
		if err != nil {
			return false, err
		}
		if next == "0" {
			return total == s.added, nil
		}
		cursor = next
	}
}

// add takes a page and returns the hash's number of fields and the next cursor.
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
		added, err := s.take(field, []byte(value))
		if err != nil {
			return 0, "", err
		}
		if added {
			s.added++
		}
	}
	return int(n), next, nil
}

// reading wraps the error of a reading, but for store.ErrStale, which says all.
func reading(what string, shard int, err error) error {
	if err == nil || errors.Is(err, store.ErrStale) {
		return err
	}
	return fmt.Errorf("read %s of shard %d: %w", what, shard, err)
}
