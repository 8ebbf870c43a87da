package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// Check implements store.Store. It refuses a Redis any server of which may evict keys.
func (s *Store) Check(ctx context.Context, n int) error {
	_, err := unblocked(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.check(ctx, n) })
	return err
}

func (s *Store) check(ctx context.Context, n int) error {
	if err := s.checkServers(ctx); err != nil {
		return err
	}
	pipe := s.rdb.Pipeline()
	old := []*redis.IntCmd{pipe.Exists(ctx, s.app+":topology"), pipe.Exists(ctx, s.app+":claimed")}
	topologies := make([]*redis.StringCmd, n)
	for shard := range topologies {
		topologies[shard] = pipe.HGet(ctx, s.recordKey(shard), fieldTopology)
	}
	_, _ = pipe.Exec(ctx) // it returns one command's error, perhaps that of a record that is not there
	for _, cmd := range old {
		if err := cmd.Err(); err != nil {
			return unchecked(err)
		}
	}
	for _, cmd := range old {
		if cmd.Val() > 0 {
			return fmt.Errorf("%w: an earlier version has stored shards and states under %s:shard:... and %s:state:..., which this version does not read: "+
				"use an empty Redis, which is filled from the log as far as its history reaches (locally, where nothing is to be kept: go tool task clean)",
				store.ErrFormat, s.app, s.app)
		}
	}
	for shard, cmd := range topologies {
		switch id, err := cmd.Result(); {
		case err == nil && id != s.topology:
			return s.otherTopology(shard, id)
		case err != nil && !errors.Is(err, redis.Nil) && !ofOneKey(err):
			return unchecked(err)
		}
	}
	if _, err := s.Intact(ctx, 0); redis.IsPermissionError(err) { // to run scripts
		return unchecked(err)
	}
	return nil
}

// checkServers looks at the settings of the server, or of each master of a cluster.
func (s *Store) checkServers(ctx context.Context) error {
	look := func(ctx context.Context, server redis.Cmdable) error {
		info, err := server.Info(ctx).Result()
		if err != nil {
			return unchecked(err)
		}
		return suitable(info)
	}
	if cluster, is := s.rdb.(*redis.ClusterClient); is {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return look(ctx, server) })
	}
	return look(ctx, s.rdb)
}

// unchecked wraps the error of a check that could not be made.
func unchecked(err error) error {
	if redis.IsPermissionError(err) {
		return fmt.Errorf("check Redis: %w: docs/rights.md lists the commands that a worker needs", err)
	}
	return fmt.Errorf("check Redis: %w", err)
}

// suitable checks the answer to INFO. A server that leaves the line out (some stand-ins for Redis) cannot evict.
func suitable(info string) error {
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "maxmemory_policy" && value != "noeviction" {
			return fmt.Errorf("%w: Redis has maxmemory-policy %s and may drop state: set it to noeviction", store.ErrUnsuitable, value)
		}
	}
	return nil
}
