// Package redis is the store in one Redis server. Every commit is one Lua script.
package redis

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// The scripts. Each checks before its first write, for Redis keeps the writes of a script that fails half-way.
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

// Store is a store.Store in one Redis server. The name of a key's state does not depend on the shard, so the state need not
// move when the key's shard changes:
//
//	<app>:topology       the id of the topology whose state this is
//	<app>:claimed        set: the shards that have ever been claimed; shows that a record was removed by hand
//	<app>:shard:<n>      hash: fence, version, position, since, dedup:<publisher> ...
//	<app>:state:<key>    a store.Envelope
//	<app>:token:<name>   a value that a worker stored for itself and others to find, for some minutes
type Store struct {
	rdb      redis.UniversalClient
	app      string
	topology string
	calls    pipeline
}

// New returns the Store of the topology with that id. Call Check before use.
func New(rdb redis.UniversalClient, app, topology string) *Store {
	return &Store{rdb: rdb, app: app, topology: topology, calls: pipeline{rdb: rdb}}
}

func (s *Store) stampKey() string          { return s.app + ":topology" }
func (s *Store) shardKey(shard int) string { return s.app + ":shard:" + strconv.Itoa(shard) }
func (s *Store) claimedKey() string        { return s.app + ":claimed" }
func (s *Store) stateKey(key string) string {
	return s.app + ":state:" + key
}

// Check implements store.Store. It refuses a Redis that may evict keys, or that spreads them over a cluster.
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

// unchecked wraps the error of a check that could not be made.
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

// suitable checks the answer to INFO. A server that leaves these lines out (some stand-ins for Redis) cannot evict or cluster.
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
