package consume

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// A worker whose Redis hangs stops when its time is up, and says what it left. The next one finds out what was committed.
func TestStopThoughTheStoreHangs(t *testing.T) {
	server := testkit.RedisProcess(t, testkit.WithAOF())
	rdb, err := redisconn.Connect("redis", server.Addr, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(rdb) })
	r := newRigWith(t, 4, rdb, testkit.NATS(t), 1)
	w := r.start()
	for shard, key := range []string{"a", "b", "c", "d"} {
		r.send(shard, key)
	}
	r.applied()
	server.Pause(t)
	for shard, key := range []string{"a", "b", "c", "d"} {
		r.send(shard, key)
	}
	eventually(t, func() bool { return w.log.count("not committed; trying again") > 0 }, "they commit")
	ctx, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, w.Stop(ctx), context.DeadlineExceeded)
	t.Logf("stopped after %s", time.Since(began).Round(time.Millisecond))
	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, 4, w.log.count("left a round that may be committed or not"))
	server.Resume(t)
	r.start()
	r.applied()
}
