package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/stackfile"
)

// redisPart is the Redis that keeps the stack's state, and its locks unless these have servers of their own.
type redisPart interface {
	start(ctx context.Context) error
	stop(ctx context.Context) error
	address() string // host:port or URL
	kind() string    // for people
}

// chooseRedis decides which Redis to use. It empties the log when the state is gone, as it is after miniredis: replaying
// the log would restore the state only as far back as the history reaches.
func (s *Stack) chooseRedis() (redisPart, error) {
	switch s.cfg.Redis {
	case RedisAuto, RedisEmbedded:
	case RedisCluster, RedisSentinel:
		return s.chooseRedisNodes()
	default:
		return &externalRedis{addr: s.cfg.Redis}, s.dir.SetNote("external")
	}
	before, err := s.dir.Note()
	if err != nil {
		return nil, err
	}
	path, missing := exec.LookPath(redisProgram)
	if s.cfg.Redis == RedisAuto && missing == nil {
		if keepsNothing(before) {
			if err := s.dropLog("the Redis before, " + before + ", kept nothing"); err != nil {
				return nil, err
			}
		}
		if err := s.dir.SetNote("redis-server"); err != nil {
			return nil, err
		}
		return s.newRedisServer(path, stackfile.RoleRedis, stackfile.RoleRedis, s.dir.Path(stackdir.RedisDir))
	}
	if s.cfg.Redis == RedisAuto && before != "" && !keepsNothing(before) {
		return nil, fmt.Errorf("this stack keeps its state in %s, and redis-server is not on PATH: install it, or wipe the stack with `go tool task clean`", before)
	}
	if err := s.dropLog("miniredis, Redis inside this process, keeps nothing"); err != nil {
		return nil, err
	}
	return &embeddedRedis{}, s.dir.SetNote(RedisEmbedded)
}

// keepsNothing tells whether a Redis keeps nothing between two runs of a stack.
func keepsNothing(redis string) bool {
	return redis == RedisEmbedded || redis == RedisCluster || redis == RedisSentinel
}

func (s *Stack) dropLog(why string) error {
	for _, name := range []string{stackdir.NATSDir, stackdir.RedisDir} {
		if err := os.RemoveAll(s.dir.Path(name)); err != nil {
			return fmt.Errorf("empty the log: %w", err)
		}
	}
	s.say("the log starts empty: %s", why)
	return nil
}

// embeddedRedis is miniredis in this process.
type embeddedRedis struct {
	server   *miniredis.Miniredis
	stopping chan struct{}
	once     sync.Once
	aged     sync.WaitGroup
}

// ageEvery is how often miniredis's clock is moved on: its TTLs do not run by themselves.
const ageEvery = 50 * time.Millisecond

func (r *embeddedRedis) kind() string    { return "miniredis" }
func (r *embeddedRedis) address() string { return r.server.Addr() }

func (r *embeddedRedis) start(context.Context) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("start miniredis: %w", err)
	}
	r.server, r.stopping = server, make(chan struct{})
	r.aged.Go(r.age)
	return nil
}

func (r *embeddedRedis) age() {
	tick := time.NewTicker(ageEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case now := <-tick.C:
			r.server.FastForward(now.Sub(last))
			last = now
		case <-r.stopping:
			return
		}
	}
}

func (r *embeddedRedis) stop(context.Context) error {
	if r.server == nil {
		return nil
	}
	r.once.Do(func() { close(r.stopping) })
	r.aged.Wait()
	r.server.Close()
	return nil
}

// externalRedis is a Redis that the stack does not run.
type externalRedis struct{ addr string }

func (r *externalRedis) kind() string               { return "your Redis" }
func (r *externalRedis) address() string            { return r.addr }
func (r *externalRedis) stop(context.Context) error { return nil }

// reachTimeout is how long an external Redis may take to answer.
const reachTimeout = 3 * time.Second

func (r *externalRedis) start(ctx context.Context) error {
	if err := redisconn.Check(r.addr); err != nil {
		return fmt.Errorf("cannot reach Redis: --redis: %w, auto or embedded", err) // the address may hold a password
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := redisconn.Reach(ctx, r.addr); err != nil {
		return fmt.Errorf("cannot reach Redis: %w", err)
	}
	return nil
}

// ping asks a server of ours once. It opens a plain connection first because the client logs each failure to connect.
func ping(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	conn.Close()
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, ContextTimeoutEnabled: true, DisableIdentity: true})
	defer client.Close()
	return client.Ping(ctx).Err()
}
