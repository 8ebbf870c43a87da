package topology

import (
	"context"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// deafFor bounds for how long a Follower may hear nothing: far above the 1.2 s that it waits, far below the 10 s and more of
// the client library's own watch.
const deafFor = 5 * time.Second

func TestFollowGoesOnWhenItsConsumerIsGone(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	put(t, kv, "b", "1")
	var s seen
	var log testkit.Log
	f, err := Follow(t.Context(), n.Conn, kv, log.Logger(), func() {}, s.take)
	require.NoError(t, err)
	defer f.Stop()
	for range 2 {
		// The second time, the value may have been read one by one, before there is another consumer.
		require.Eventually(t, func() bool { return len(testkit.Consumers(t, n.Conn, bucketStream(kv.Bucket()))) > 0 }, patience, time.Millisecond)
		testkit.KillConsumers(t, n.Conn, bucketStream(kv.Bucket()))
		begun := time.Now()
		at := begun.String()
		put(t, kv, "a", at)
		require.Eventually(t, func() bool { return s.value("a") == at }, patience, time.Millisecond)
		t.Logf("deaf for %s", time.Since(begun).Round(time.Millisecond))
		require.Less(t, time.Since(begun), deafFor)
	}
	require.Contains(t, log.String(), `msg="bucket watch broke; reopening it" bucket=app_topology error="no entry and no heartbeat for 1.2s: its consumer is gone"`)
	require.Contains(t, log.String(), `msg="bucket watch restored" bucket=app_topology after=`)
}

// The consumer sends heartbeats, but its server lags: an entry that this process stored is not delivered.
func TestFollowReopensWhenItsOwnEntryIsNotDelivered(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	var s seen
	var log testkit.Log
	f, err := Follow(t.Context(), n.Conn, kv, log.Logger(), func() {}, s.take)
	require.NoError(t, err)
	defer f.Stop()
	rev, err := kv.PutString(t.Context(), "a", "1")
	require.NoError(t, err)
	f.Expect(rev)
	f.Expect(rev + 1)
	require.Eventually(t, func() bool { return s.allRounds() == 2 }, patience, time.Millisecond)
	require.Equal(t, "1", s.value("a"))
	require.Contains(t, log.String(), `revision 2, which this process has stored, was not delivered within 750ms`)
	require.Equal(t, 1, strings.Count(log.String(), "bucket watch broke"), "what came counts: %s", &log)
}

// A message that is lost between the server and this process shows at the next one, or when the consumer says that it has
// nothing to send.
func TestEntriesThatWereMissed(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	put(t, kv, "b", "1")
	put(t, kv, "c", "1")
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	var s seen
	for name, lost := range map[string]int{"before another": 1, "the last": 3} {
		t.Run(name, func(t *testing.T) {
			c, err := openEntries(context.Background(), n.Conn, js, kv.Bucket(), ">")
			require.NoError(t, err)
			defer c.end()
			err = nil
			for i := 1; err == nil; i++ {
				if m := <-c.messages; i != lost {
					err = c.take(m, s.take)
				}
			}
			require.ErrorIs(t, err, errMissed)
		})
	}
}
