package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testkit.Main()
	goleak.VerifyTestMain(m)
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond, append([]any{what}, args...)...)
}

// cluster is what the members of a group share: servers, and a board on which owners write themselves.
type cluster struct {
	t        *testing.T
	nats     *testkit.NATSServer
	replicas int // of the buckets
	redis    *redis.Client
	locker   *lease.Locker
	shards   int
	board    board

	reconnectWait time.Duration // of members' connections
}

func newCluster(t *testing.T, shards int) *cluster {
	return newClusterOn(t, shards, testkit.NATS(t), 1)
}

func newClusterOn(t *testing.T, shards int, n *testkit.NATSServer, replicas int) *cluster {
	c := &cluster{t: t, nats: n, replicas: replicas, shards: shards}
	c.redis = redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { require.NoError(t, c.redis.Close()) })
	var err error
	c.locker, err = lease.New(lease.Config{App: "app"}, c.redis)
	require.NoError(t, err)
	c.board.owners = make(map[int]map[string]bool)
	return c
}

// member is one that judges others at once, and whose Own does nothing but stand on the board.
type member struct {
	*Group
	t   *testing.T
	nc  *nats.Conn
	reg *prometheus.Registry
}

// metric is the value of a counter or a gauge.
func (m *member) metric(name string) float64 {
	m.t.Helper()
	families, err := m.reg.Gather()
	require.NoError(m.t, err)
	for _, f := range families {
		if f.GetName() == "app_worker_"+name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(m.t, "no metric "+name)
	return 0
}

func (c *cluster) member(change ...func(*Config)) *member {
	c.t.Helper()
	return c.memberOn(c.nats.Connect(c.t, nats.ReconnectBufSize(-1), nats.ReconnectWait(c.reconnectWait+time.Millisecond)), change...)
}

func (c *cluster) memberOn(nc *nats.Conn, change ...func(*Config)) *member {
	c.t.Helper()
	m := &member{t: c.t, nc: nc, reg: prometheus.NewRegistry()}
	cfg := Config{
		App: "app", Name: "m", Shards: c.shards, Replicas: c.replicas, Locker: Leases(c.locker), Log: slog.New(slog.DiscardHandler), Metrics: m.reg,
	}
	cfg.Own = func(ctx context.Context, o Ownership) {
		defer c.board.enter(o.Shard, m.ID())()
		for {
			_, err := o.Announce(ctx)
			if err == nil || ctx.Err() != nil || m.nc.IsClosed() {
				break
			}
			if !errors.Is(err, nats.ErrDisconnected) { // between two connections: as owners do, try again
				c.t.Errorf("announce shard %d: %v", o.Shard, err)
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-o.Stop:
			case <-ctx.Done():
			}
		}
		select {
		case <-o.Stop:
		case <-ctx.Done():
		}
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	m.Group, err = New(m.nc, cfg)
	require.NoError(c.t, err)
	m.steadyBefore = 0
	c.t.Cleanup(func() { _ = m.Stop(context.Background()) })
	return m
}

func (c *cluster) start(n int, change ...func(*Config)) []*member {
	c.t.Helper()
	var out []*member
	for range n {
		m := c.member(change...)
		require.NoError(c.t, m.Start(context.Background()))
		out = append(out, m)
	}
	c.settle(out...)
	return out
}

// settle waits until these members, and no others, own all shards as they should.
func (c *cluster) settle(members ...*member) {
	c.t.Helper()
	var ids []string
	for _, m := range members {
		ids = append(ids, m.ID())
	}
	want := Assign(c.shards, ids)
	eventually(c.t, func() bool {
		for shard, id := range want {
			if c.board.owner(shard) != id {
				return false
			}
		}
		return true
	}, "not settled on %v", ids)
	for _, m := range members {
		eventually(c.t, m.Settled, "%s", m.ID())
	}
}

// board says who owns what, and remembers each shard that two owned at once.
type board struct {
	mu      sync.Mutex
	owners  map[int]map[string]bool
	doubled []string
}

func (b *board) enter(shard int, id string) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owners[shard] == nil {
		b.owners[shard] = make(map[string]bool)
	}
	b.owners[shard][id] = true
	if len(b.owners[shard]) > 1 {
		b.doubled = append(b.doubled, fmt.Sprintf("shard %d: %v", shard, b.owners[shard]))
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.owners[shard], id)
	}
}

// owner is a shard's only owner, or "".
func (b *board) owner(shard int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.owners[shard]) != 1 {
		return ""
	}
	for id := range b.owners[shard] {
		return id
	}
	return ""
}

// of is how many shards a member stands at.
func (b *board) of(id string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, owners := range b.owners {
		if owners[id] {
			n++
		}
	}
	return n
}

func (b *board) requireNeverDoubled(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.doubled, "two owners of a shard at once")
}
