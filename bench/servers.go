package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/lockstep/pkg/stackfile"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

const (
	readyTime = time.Minute
	sweepTime = time.Minute
	scanAt    = 1000 // keys
)

// servers is what every peer runs on: nats-server and redis-server of one local stack, and RabbitMQ beside it. The stack's own
// router and worker have one shard and nothing to do.
type servers struct {
	bin, dir  string
	nats      string // URL
	redisAddr string
	redisPID  int
	local     *child
	rabbit    *rabbitNode // nil if it is not installed
	rounds    int
}

func startServers(ctx context.Context, bin string, withRabbit bool) (s *servers, err error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	s = &servers{bin: bin, dir: dir}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	log := filepath.Join(dir, "up.log")
	s.local, err = startChild(log, nil, filepath.Join(bin, "local"), "up", "--stop-with-parent", "--shards=1", "--workers=1", "--dir="+s.stackDir())
	if err != nil {
		return nil, err
	}
	if err := poll(ctx, readyTime, "the stack is not ready", s.local, s.readStack); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, lastLines(log))
	}
	if withRabbit {
		s.rabbit, err = startRabbit(ctx, filepath.Join(dir, "rabbitmq"))
	}
	return s, err
}

func (s *servers) stackDir() string { return filepath.Join(s.dir, "stack") }

// readStack reads stack.json, which is there once the stack is ready.
func (s *servers) readStack(context.Context) error {
	b, err := os.ReadFile(filepath.Join(s.stackDir(), "stack.json"))
	if err != nil {
		return err
	}
	var f struct {
		NATS  string `json:"nats"`
		Redis string `json:"redis"`

		Processes []struct {
			Role string `json:"role"`
			PID  int    `json:"pid"`
		} `json:"processes"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	s.nats, s.redisAddr = f.NATS, f.Redis
	for _, p := range f.Processes {
		if p.Role == stackfile.RoleRedis {
			s.redisPID = p.PID
		}
	}
	return nil
}

// stop ends everything and removes what it has stored.
func (s *servers) stop() {
	if s.rabbit != nil {
		s.rabbit.stop()
	}
	if s.local != nil {
		s.local.stop()
	}
	_ = os.RemoveAll(s.dir)
}

func (s *servers) connect() (*nats.Conn, error) { return nats.Connect(s.nats) }

func (s *servers) redisClient() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.redisAddr})
}

// pipeliner returns a client that sends the commands of concurrent callers together, and what closes it.
func (s *servers) pipeliner() (redis.UniversalClient, func(), error) {
	rdb := s.redisClient()
	ap, err := rdb.AutoPipeline()
	if err != nil {
		_ = rdb.Close()
		return nil, nil, err
	}
	return ap, func() {
		_ = ap.Close()
		_ = rdb.Close()
	}, nil
}

// round prepares a turn of a peer.
func (s *servers) round(c cell, keys, size int, duration time.Duration) *round {
	s.rounds++
	id := fmt.Sprintf("bench%d", s.rounds)
	return &round{cell: c, id: id, keys: keys, size: size, duration: duration, servers: s, flow: newFlow(maxOutstanding), book: newBook(id, keys, c.shards, size)}
}

// readAccounts returns what the peers have stored for keys.
func (r *round) readAccounts(ctx context.Context, keys []string) ([]account, error) {
	rdb := r.servers.redisClient()
	defer rdb.Close()
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = accountKey(key)
	}
	return readAccounts(ctx, rdb, names, nil)
}

// sweep removes what a round has left in JetStream and Redis, also when ctx has ended.
func (s *servers) sweep(ctx context.Context, r *round) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
	defer cancel()
	if err := s.sweepLog(ctx, r.id); err != nil {
		return fmt.Errorf("remove the streams of %s: %w", r.id, err)
	}
	if err := s.sweepStore(ctx, r.id); err != nil {
		return fmt.Errorf("remove the keys of %s: %w", r.id, err)
	}
	return nil
}

func (s *servers) sweepLog(ctx context.Context, id string) error {
	nc, err := s.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	names := js.StreamNames(ctx)
	var found []string
	for name := range names.Name() {
		bare := strings.TrimPrefix(strings.ToLower(name), "kv_")
		if strings.HasPrefix(bare, id+"_") {
			found = append(found, name)
		}
	}
	if err := names.Err(); err != nil {
		return err
	}
	for _, name := range found {
		if err := js.DeleteStream(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *servers) sweepStore(ctx context.Context, id string) error {
	rdb := s.redisClient()
	defer rdb.Close()
	for _, pattern := range []string{"account:" + id + "-*", id + ":*"} {
		var found []string
		for it := rdb.Scan(ctx, 0, pattern, scanAt).Iterator(); it.Next(ctx); {
			found = append(found, it.Val())
		}
		for from := 0; from < len(found); from += scanAt {
			if err := rdb.Unlink(ctx, found[from:min(from+scanAt, len(found))]...).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
