package redis_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
)

const goldenPublisher = "01020304050607080910111213141516"

// goldenCommit writes to every part of a slot.
func goldenCommit() *store.Commit {
	return &store.Commit{
		Shard: 7, Old: "CLAIMED", New: "COMMITTED", Position: store.Position{Epoch: 1, Seq: 77, Time: time.Unix(0, 1_700_000_000_123_456_789)},
		Dedup:  []store.Pair{{Key: goldenPublisher, Value: []byte("\x02publisher")}},
		States: []store.Pair{{Key: "alice", Value: []byte("\x01state of alice")}, {Key: "\xff b", Value: []byte("state of b")}},
		Lists: []store.List{
			{Key: "alice", Head: []byte("head of alice"), At: 3, Events: [][]byte{[]byte("third"), []byte("fourth")}},
			{Key: "carol", Head: []byte("head of carol"), At: 63, Events: [][]byte{[]byte("before a run ends"), []byte("after it")}},
		},
		Late: 5, LateLast: "the newest late one", Owed: []byte("\x00receipts"), Caps: `{"schema":1,"keys":20000}`,
	}
}

// A slot is written today as before, and one that was written before is read: its record, states, lists and markers.
func TestGoldenSlot(t *testing.T) {
	ctx := context.Background()
	writer := client(t, testkit.Redis(t))
	s := redisstore.New(writer, "app", "0011223344")
	_, err := s.Claim(ctx, 7, 12, "CLAIMED")
	require.NoError(t, err)
	require.NoError(t, s.Commit(ctx, goldenCommit()))
	kept := golden.Check(t, "slot.txt", dumpSlot(t, writer, 7))

	reader := client(t, testkit.Redis(t))
	restoreSlot(t, reader, kept)
	requireGoldenSlot(t, redisstore.New(reader, "app", "0011223344"))
}

// requireGoldenSlot requires that a slot holds what goldenCommit wrote.
func requireGoldenSlot(t *testing.T, s *redisstore.Store) {
	t.Helper()
	ctx, c := context.Background(), goldenCommit()
	require.NoError(t, s.Check(ctx, 8))
	shard, err := s.Intact(ctx, 7)
	require.NoError(t, err)
	require.Equal(t, store.Shard{Fence: 12, Position: c.Position}, shard)
	record, err := s.Claim(ctx, 7, 0, "NEXT")
	require.NoError(t, err)
	require.Equal(t, store.Record{
		Fence: 13, Version: "NEXT", Position: c.Position, Late: c.Late, LateLast: c.LateLast, Owed: c.Owed, Caps: c.Caps,
	}, record)
	require.NoError(t, s.Publishers(ctx, 7, "NEXT", func(id string, encoded []byte) (bool, error) {
		require.Equal(t, c.Dedup[0], store.Pair{Key: id, Value: encoded})
		return true, nil
	}))
	states, err := s.Load(ctx, 7, "NEXT", []string{"alice", "\xff b", "nobody"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{c.States[0].Value, c.States[1].Value, nil}, states)
	heads := make(map[string]string)
	require.NoError(t, s.Heads(ctx, 7, "NEXT", func(key string, head []byte) error {
		heads[key] = string(head)
		return nil
	}))
	require.Equal(t, map[string]string{"alice": "head of alice", "carol": "head of carol"}, heads)
	for _, l := range c.Lists {
		events, err := s.Aside(ctx, 7, "NEXT", l.Key, l.At, len(l.Events))
		require.NoError(t, err)
		require.Equal(t, l.Events, events)
	}
}

// dumpSlot is all that Redis keeps of a slot: a line for each field of each hash, its key, name and value quoted, in order.
func dumpSlot(t *testing.T, rdb *redis.Client, shard int) []byte {
	t.Helper()
	ctx := context.Background()
	keys, err := rdb.Keys(ctx, fmt.Sprintf("{app:%d}:*", shard)).Result()
	require.NoError(t, err)
	slices.Sort(keys)
	var lines []string
	for _, key := range keys {
		fields, err := rdb.HGetAll(ctx, key).Result()
		require.NoError(t, err)
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			lines = append(lines, strings.Join([]string{strconv.QuoteToASCII(key), strconv.QuoteToASCII(field), strconv.QuoteToASCII(fields[field])}, "\t"))
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// restoreSlot puts into Redis what dumpSlot has returned.
func restoreSlot(t *testing.T, rdb *redis.Client, dump []byte) {
	t.Helper()
	for line := range strings.Lines(string(dump)) {
		var parts []string
		for quoted := range strings.SplitSeq(strings.TrimSpace(line), "\t") {
			part, err := strconv.Unquote(quoted)
			require.NoError(t, err)
			parts = append(parts, part)
		}
		require.Len(t, parts, 3)
		require.NoError(t, rdb.HSet(context.Background(), parts[0], parts[1], parts[2]).Err())
	}
}
