package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// Heads implements store.Store.
func (s *Store) Heads(ctx context.Context, shard int, version store.Version, take func(key string, head []byte) error) error {
	seen := make(map[string]bool)
	read := scan{
		page: func(ctx context.Context, cursor string) ([]any, error) {
			return pageOf(s.calls.alone(ctx, s.scripts.heads, s.headsKeys(shard), []any{string(version), cursor, pageFields}), version)
		},
		take: func(key string, head []byte) (added bool, err error) {
			added = !seen[key]
			seen[key] = true
			if key != marker {
				err = take(key, head)
			}
			return added, err
		},
	}
	if version == "" { // the lists may change between pages
		_, err := read.once(ctx)
		return reading("the lists", shard, err)
	}
	return reading("the lists", shard, read.all(ctx))
}

// headsKeys are the record and the hash of the heads of all lists.
func (s *Store) headsKeys(shard int) []string {
	prefix := s.slotPrefix(shard)
	return []string{prefix + "record", prefix + "aside:" + strconv.Itoa(headsBucket)}
}

// Aside implements store.Store.
func (s *Store) Aside(ctx context.Context, shard int, version store.Version, key string, from uint64, n int) ([][]byte, error) {
	if key == marker {
		return nil, reading("a list", shard, store.ErrNoKey)
	}
	call := s.calls.run
	if version == "" {
		call = s.calls.alone
	}
	keys, args := s.asideArgs(shard, version, key, from, n)
	events, err := pageOf(call(ctx, s.scripts.aside, keys, args), version)
	return bytesOf(events), reading("a list", shard, err)
}

// asideArgs are the keys and arguments with which aside.lua reads events.
func (s *Store) asideArgs(shard int, version store.Version, key string, from uint64, n int) (keys []string, args []any) {
	prefix := s.slotPrefix(shard)
	keys = []string{prefix + "record"}
	args = []any{string(version), key, store.AsideBytes}
	of := bucketOf(key)
	var runs []any
	var number [buckets]int // of a hash among keys
	for left := min(uint64(max(n, 0)), math.MaxUint64-from); left > 0; {
		hash := eventsBucket(of, from)
		if number[hash] == 0 {
			keys = append(keys, prefix+"aside:"+strconv.Itoa(hash))
			args = append(args, asideMarkers[hash])
			number[hash] = len(keys)
		}
		run := min(left, runLength-from%runLength)
		index := binary.BigEndian.AppendUint64(nil, from)
		runs = append(runs, number[hash], index[:7], uint64(index[7]), uint64(index[7])+run-1)
		from += run
		left -= run
	}
	return keys, append(args, runs...)
}

// pageOf is the answer of a script that reads under a version, or for any.
func pageOf(cmd *redis.Cmd, version store.Version) ([]any, error) {
	res, err := cmd.Result()
	switch {
	case err != nil:
		return nil, err
	case res == "torn" && version == "":
		return nil, errTornBeside
	case res == "torn" || res == "stale":
		return nil, store.ErrStale
	}
	values, is := res.([]any)
	if !is {
		return nil, fmt.Errorf("answer %v of Redis is no list", res)
	}
	return values, nil
}

// errTornBeside is for processes that do not own a torn slot.
var errTornBeside = fmt.Errorf("%w: its owner will find out", store.ErrTorn)

// bytesOf are the values that a script returned, nil where there is none.
func bytesOf(values []any) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		if s, is := v.(string); is {
			out[i] = []byte(s)
		}
	}
	return out
}
