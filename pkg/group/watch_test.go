package group

import (
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// changes is what a watcher was told.
type changes struct {
	mu    sync.Mutex
	owner map[int]string
	count int
}

func (c *changes) changed(shard int, owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner[shard] = owner
	c.count++
}

func (c *changes) of(shards int, owner string) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, o := range c.owner {
			if o == owner {
				n++
			}
		}
		return n == shards
	}
}

func TestWatcherTellsOfChangesOnly(t *testing.T) {
	c := newCluster(t, 8)
	one := c.member(func(cfg *Config) { cfg.Name = "one" })
	require.NoError(t, one.Start(t.Context()))
	c.settle(one)

	told := &changes{owner: make(map[int]string)}
	nc := c.nats.Connect(t)
	w, err := Watch(t.Context(), nc, "app", told.changed)
	require.NoError(t, err)
	defer w.Stop()
	require.Zero(t, told.count, "owners as they are, are no change")

	two := c.member(func(cfg *Config) { cfg.Name = "two" })
	require.NoError(t, two.Start(t.Context()))
	c.settle(one, two)
	eventually(t, told.of(4, "two"), "four shards move to the second worker")
	require.NoError(t, nc.ForceReconnect())
	require.NoError(t, two.Stop(t.Context()))
	c.settle(one)
	eventually(t, told.of(4, "one"), "and back, also to who has reconnected")
	require.Equal(t, 8, told.count, "each change is told once")

	w.Stop()
	three := c.member(func(cfg *Config) { cfg.Name = "three" })
	require.NoError(t, three.Start(t.Context()))
	c.settle(one, three)
	require.Equal(t, 8, told.count, "a watcher that was stopped tells nothing")
}

func TestNothingToWatch(t *testing.T) {
	c := newCluster(t, 8)
	_, err := Watch(t.Context(), c.nats.Conn, "app", func(int, string) {})
	require.ErrorIs(t, err, jetstream.ErrBucketNotFound)
}
