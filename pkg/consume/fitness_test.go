package consume

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// An operator lets Redis evict keys, under running workers. They notice at a look, and when they connect anew, and go on once that
// is mended.
func TestEvictionIsNoticedLater(t *testing.T) {
	for name, c := range map[string]struct {
		look   time.Duration
		notice func(*rig)
	}{
		"at a look":      {50 * time.Millisecond, func(*rig) {}},
		"at a reconnect": {time.Hour, func(r *rig) { _ = r.rdb.ClientKillByFilter(background, "TYPE", "normal", "SKIPME", "no").Err() }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOn(t, 2, testkit.RedisProcess(t).Addr)
			w := r.worker()
			w.waits.look = c.look
			require.NoError(t, w.Start(background))
			r.send(0, "a")
			r.applied()
			require.NoError(t, r.rdb.ConfigSet(background, "maxmemory-policy", "allkeys-lru").Err())
			for shard := range 2 {
				eventually(t, func() bool {
					c.notice(r)
					return strings.HasPrefix(w.shard(shard).State, stateStopped)
				}, "shard %d is not stopped: %s", shard, w.shard(shard).State)
			}
			r.send(0, "a")
			r.send(1, "b")
			require.Contains(t, w.shard(0).State, "maxmemory-policy allkeys-lru")
			logged := regexp.MustCompile(`level=ERROR msg="shard stopped until this is mended" shard=1 error=.*maxmemory-policy allkeys-lru.*set it to noeviction`)
			eventually(t, func() bool { return logged.MatchString(w.log.String()) }, "the log has no such line")
			require.Empty(t, r.state("b"))
			require.NoError(t, r.rdb.ConfigSet(background, "maxmemory-policy", "noeviction").Err())
			r.applied()
			eventually(t, func() bool { return w.Stuck() == "" }, "stuck: %s", w.Stuck())
		})
	}
}
