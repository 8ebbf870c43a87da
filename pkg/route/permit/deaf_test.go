package permit

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// deafFor bounds for how long a watch may hear nothing: far above the 1.2 s that it waits, far below the 10 s and more of
// the client library's own watch.
const deafFor = 5 * time.Second

func bucketStream(kv jetstream.KeyValue) string { return "KV_" + kv.Bucket() }

// A router whose watch dies goes on, though it hears of its renewals through it alone.
func TestPermitOutlivesItsWatch(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	r := newRouter(t, n, quiet).start(t)
	for range 3 {
		testkit.KillConsumers(t, n.Conn, bucketStream(r.kv))
		r.requireAlmostNoOutage(t)
	}
}

// requireAlmostNoOutage watches a permit until renewals have been delivered for as long as one from before would last.
func (p *Permit) requireAlmostNoOutage(t testing.TB) {
	t.Helper()
	begun := p.now().Mono
	var longest time.Duration
	var expired time.Time // when it was first seen
	require.Eventually(t, func() bool {
		if _, valid := p.Valid(); valid {
			expired = time.Time{}
		} else if expired.IsZero() {
			expired = time.Now()
		} else {
			longest = max(longest, time.Since(expired))
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.broker.Mono > begun+TTL
	}, 3*patience, time.Millisecond)
	t.Logf("no permit for %s", longest.Round(time.Millisecond))
	require.Less(t, longest, deafFor-TTL)
}
