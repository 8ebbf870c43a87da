// Package redis is the store in one Redis server: every commit is one Lua script. It and pkg/redisconn are what a worker links
// go-redis for; nothing else of ours needs it but the locks.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// The scripts. Each checks before its first write, for a script that fails half-way keeps what it has written.
var (
	//go:embed check.lua
	checkSource string
	//go:embed claim.lua
	claimSource string
	//go:embed publishers.lua
	publishersSource string
	//go:embed load.lua
	loadSource string
	//go:embed commit.lua
	commitSource string

	checkScript      = redis.NewScript(checkSource)
	claimScript      = redis.NewScript(claimSource)
	publishersScript = redis.NewScript(publishersSource)
	loadScript       = redis.NewScript(loadSource)
	commitScript     = redis.NewScript(commitSource)
)

// Fields of a shard's hash. A publisher's deduplication record is in the field dedupPrefix + its id.
const (
	fieldFence      = "fence"
	fieldPosition   = "position"
	fieldRoundStart = "since"
	fieldLate       = "late"
	fieldLateLast   = "late_last"
	dedupPrefix     = "dedup:"
)

// Store is a store.Store in one Redis server. What belongs to a key is named by the key alone, so that it need not move when the
// key's shard changes:
//
//	<app>:topology       the id of the topology whose state this is
//	<app>:claimed        set: the shards that have ever been claimed; so a record that was removed by hand is missed
//	<app>:shard:<n>      hash: fence, version, position, since, dedup:<publisher> ...
//	<app>:state:<key>    a store.Envelope
//	<app>:token:<name>   what a worker left for itself and others to find, for some minutes
type Store struct {
	rdb      redis.UniversalClient
	app      string
	topology string
	calls    pipeline
}

// New makes a Store of the topology with that id. Check it before use.
func New(rdb redis.UniversalClient, app, topology string) *Store {
	return &Store{rdb: rdb, app: app, topology: topology, calls: pipeline{rdb: rdb}}
}

func (s *Store) stampKey() string          { return s.app + ":topology" }
func (s *Store) shardKey(shard int) string { return s.app + ":shard:" + strconv.Itoa(shard) }
func (s *Store) claimedKey() string        { return s.app + ":claimed" }
func (s *Store) stateKey(key string) string {
	return s.app + ":state:" + key
}

// Check implements Store. A Redis that may evict keys, or that spreads them over a cluster, is refused.
func (s *Store) Check(ctx context.Context) error {
	info, err := s.rdb.Info(ctx).Result()
	if err != nil {
		return unchecked(err)
	}
	if err := suitable(info); err != nil {
		return err
	}
	got, err := checkScript.Run(ctx, s.rdb, []string{s.stampKey()}, s.topology).Text()
	if err != nil {
		return unchecked(err)
	}
	if got != s.topology {
		return s.otherTopology(got)
	}
	return nil
}

// unchecked says why Redis could not be checked.
func unchecked(err error) error {
	if redis.IsPermissionError(err) {
		return fmt.Errorf("check Redis: %w: docs/rights.md lists the commands that a worker needs", err)
	}
	return fmt.Errorf("check Redis: %w", err)
}

func (s *Store) otherTopology(id string) error {
	return fmt.Errorf("%w: %s is %q, the log's is %q: use the Redis that goes with this NATS, or an empty one (it is filled from the log)",
		store.ErrTopology, s.stampKey(), id, s.topology)
}

// suitable looks at what INFO says. A server that does not say it (some stand-ins for Redis) cannot evict or cluster.
func suitable(info string) error {
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case name == "maxmemory_policy" && value != "noeviction":
			return fmt.Errorf("%w: Redis has maxmemory-policy %s and may drop state: set it to noeviction", store.ErrUnsuitable, value)
		case (name == "redis_mode" && value == "cluster") || (name == "cluster_enabled" && value == "1"):
			return fmt.Errorf("%w: Redis runs in cluster mode, where a commit cannot be atomic: use one that does not", store.ErrUnsuitable)
		}
	}
	return nil
}

// Claim implements Store.
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
			"or stop the workers and delete all keys %s:*, and the store is filled from the log as far as its history reaches", store.ErrGone, s.shardKey(shard), shard, s.app)
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

// claimFields are what a claim returns.
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

// Load implements Store.
func (s *Store) Load(ctx context.Context, shard int, version store.Version, keys []string) ([][]byte, error) {
	args := make([]any, 0, len(keys)+1)
	args = append(args, string(version))
	names := s.names(len(keys))
	for _, k := range keys {
		args = append(args, names.state(k))
	}
	res, err := s.calls.run(loadScript, []string{s.shardKey(shard)}, args).Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, store.ErrStale
	case err != nil:
		return nil, fmt.Errorf("load %d keys of shard %d: %w", len(keys), shard, err)
	case len(res) != len(keys):
		return nil, fmt.Errorf("load %d keys of shard %d: Redis returned %d", len(keys), shard, len(res))
	}
	return values(res), nil
}

func values(res []any) [][]byte {
	out := make([][]byte, len(res))
	for i, v := range res {
		if s, ok := v.(string); ok {
			out[i] = []byte(s)
		}
	}
	return out
}

// Commit implements Store.
func (s *Store) Commit(ctx context.Context, c *store.Commit) error {
	const fixed = 8
	args := make([]any, fixed, fixed+2*len(c.Dedup)+2*len(c.States))
	sets := 0
	for _, d := range c.Dedup {
		if d.Value != nil {
			args = append(args, dedupPrefix+d.Key, d.Value)
			sets++
		}
	}
	removed := 0
	for _, d := range c.Dedup {
		if d.Value == nil {
			args = append(args, dedupPrefix+d.Key)
			removed++
		}
	}
	names := s.names(len(c.States))
	for _, p := range c.States {
		args = append(args, names.state(p.Key), p.Value)
	}
	args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7] =
		string(c.Old), string(c.New), c.Position.String(), c.RoundStart, c.Late, c.LateLast, sets, removed
	res, err := s.calls.run(commitScript, []string{s.shardKey(c.Shard)}, args).Text()
	switch {
	case err != nil:
		return fmt.Errorf("commit shard %d: %w", c.Shard, err)
	case res == "stale":
		return store.ErrStale
	}
	return nil
}

// names makes the names of many states in few pieces of memory.
type names struct {
	prefix string
	b      []byte
}

func (s *Store) names(n int) *names {
	const usual = 32 // bytes of a key
	return &names{prefix: s.stateKey(""), b: make([]byte, 0, n*(len(s.app)+len(":state:")+usual))}
}

func (n *names) state(key string) []byte {
	from := len(n.b)
	n.b = append(append(n.b, n.prefix...), key...)
	return n.b[from:len(n.b):len(n.b)]
}

// States implements Store.
func (s *Store) States(ctx context.Context, keys []string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = s.stateKey(k)
	}
	res, err := s.rdb.MGet(ctx, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("read the states of %d keys: %w", len(keys), err)
	}
	return values(res), nil
}

// Shards implements Store.
func (s *Store) Shards(ctx context.Context, n int) ([]store.Shard, error) {
	pipe := s.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, n)
	for i := range cmds {
		cmds[i] = pipe.HMGet(ctx, s.shardKey(i), fieldFence, fieldPosition)
	}
	if _, err := pipe.Exec(ctx); err != nil && !ofOneKey(err) {
		return nil, fmt.Errorf("read the positions of %d shards: %w", n, err)
	}
	out := make([]store.Shard, n)
	for i, cmd := range cmds {
		if out[i] = readShard(cmd); out[i].Err != nil {
			out[i].Err = fmt.Errorf("read %s: %w", s.shardKey(i), out[i].Err)
		}
	}
	return out, nil
}

// ofOneKey tells whether Redis refused a command for what lies under its key, which says nothing of other keys.
func ofOneKey(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

func readShard(cmd *redis.SliceCmd) store.Shard {
	values, err := cmd.Result()
	if err != nil {
		return store.Shard{Err: err}
	}
	var rec store.Record
	for i, field := range []string{fieldFence, fieldPosition} {
		if s, ok := values[i].(string); ok {
			if err := setField(&rec, field, s); err != nil {
				return store.Shard{Err: fmt.Errorf("field %s: %w", field, err)}
			}
		}
	}
	return store.Shard{Fence: rec.Fence, Position: rec.Position}
}
