package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	streamsSenders = 2
	streamsWrite   = 512  // entries added in one pipeline
	streamsRead    = 2048 // entries read at once, of each stream
	streamsBlock   = 100 * time.Millisecond
	streamsGroup   = "workers"
)

var streamsPeer = peer{
	name:    "streams",
	title:   "Redis Streams",
	matrix:  true,
	run:     redisStreams,
	effect:  true,
	ordered: true,
	promise: promise{
		order:    "by stream, while one consumer has it",
		effects:  "once, for effect and XACK are one transaction; but nothing fences a paused worker",
		failover: "yours to write: each worker is given its streams",
		durable:  "Redis, AOF every second: a crash may lose the last second, confirmed or not",
	},
	settings: fmt.Sprintf(`One stream and one consumer group a shard, dealt out to the workers; never trimmed during a round. %d senders, %d XADDs a
pipeline. A worker reads up to %d entries of each of its streams in one XREADGROUP, reads the accounts with one MGET, and writes
them together with the XACKs in one MULTI/EXEC.`, streamsSenders, streamsWrite, streamsRead),
}

func (r *round) stream(shard int) string { return fmt.Sprintf("%s:stream:%d", r.id, shard) }

func redisStreams(ctx context.Context, r *round) (result, error) {
	rdb := r.servers.redisClient()
	defer rdb.Close()
	for shard := range r.shards {
		if err := rdb.XGroupCreateMkStream(ctx, r.stream(shard), streamsGroup, "0").Err(); err != nil {
			return result{}, err
		}
	}
	c := crew{read: r.readAccounts}
	for range min(streamsSenders, r.keys) {
		c.senders = append(c.senders, &streamsSender{round: r, pipe: rdb.Pipeline()})
	}
	for w := range r.workers {
		rdb := r.servers.redisClient()
		defer rdb.Close()
		shards := share(r.shards, w, r.workers)
		if len(shards) == 0 {
			continue
		}
		c.workers = append(c.workers, func(ctx context.Context) error { return r.consumeStreams(ctx, rdb, shards) })
	}
	return r.run(ctx, c)
}

type streamsSender struct {
	round *round
	pipe  redis.Pipeliner
}

func (s *streamsSender) send(ctx context.Context, ev event) error {
	s.pipe.XAdd(ctx, &redis.XAddArgs{Stream: s.round.stream(ev.shard), Values: []any{"key", ev.key, "data", ev.payload}})
	if s.pipe.Len() < streamsWrite {
		return nil
	}
	return s.flush(ctx)
}

func (s *streamsSender) flush(ctx context.Context) error {
	_, err := s.pipe.Exec(ctx)
	return err
}

func (r *round) consumeStreams(ctx context.Context, rdb *redis.Client, shards []int) error {
	var from []string
	for _, shard := range shards {
		from = append(from, r.stream(shard))
	}
	for range shards {
		from = append(from, ">")
	}
	own := newEffects(rdb, r.flow)
	var batch []event
	for ctx.Err() == nil {
		streams, err := rdb.XReadGroup(ctx, &redis.XReadGroupArgs{Group: streamsGroup, Consumer: "owner", Streams: from, Count: streamsRead, Block: streamsBlock}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		batch = batch[:0]
		for _, s := range streams {
			for _, m := range s.Messages {
				key, _ := m.Values["key"].(string)
				data, _ := m.Values["data"].(string)
				batch = append(batch, event{key: key, payload: []byte(data)})
			}
		}
		if err := own.many(ctx, batch, func(p redis.Pipeliner) { ackStreams(ctx, p, streams) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func ackStreams(ctx context.Context, p redis.Pipeliner, streams []redis.XStream) {
	for _, s := range streams {
		ids := make([]string, len(s.Messages))
		for i, m := range s.Messages {
			ids[i] = m.ID
		}
		p.XAck(ctx, s.Stream, streamsGroup, ids...)
	}
}
