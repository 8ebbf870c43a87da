package topology

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// bucket opens a bucket over a connection.
func bucket(t testing.TB, nc *nats.Conn) jetstream.KeyValue {
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kv, err := OpenBucket(t.Context(), js, "app", "topology", 1)
	require.NoError(t, err)
	return kv
}

// seen is the newest value of each key that a Follower delivered.
type seen struct {
	mu     sync.Mutex
	values map[string]string
	rounds int // of all that there is
}

func (s *seen) take(e jetstream.KeyValueEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == nil {
		s.rounds++
		return
	}
	if s.values == nil {
		s.values = make(map[string]string)
	}
	if s.values[e.Key()] = string(e.Value()); e.Operation() != jetstream.KeyValuePut {
		s.values[e.Key()] = "gone"
	}
}

func (s *seen) value(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

func (s *seen) allRounds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds
}

func put(t testing.TB, kv jetstream.KeyValue, key, value string) {
	_, err := kv.PutString(t.Context(), key, value)
	require.NoError(t, err)
}

func TestFollow(t *testing.T) {
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	put(t, kv, "a", "2")
	put(t, kv, "b", "1")
	require.NoError(t, kv.Purge(t.Context(), "b"))
	var s seen
	f, err := Follow(t.Context(), n.Conn, kv, quiet, func() {}, s.take)
	require.NoError(t, err)
	require.Equal(t, 1, s.allRounds())
	require.Equal(t, "2", s.value("a"))
	require.Equal(t, "gone", s.value("b"))
	put(t, kv, "a", "3")
	put(t, kv, "c", "1")
	require.NoError(t, kv.Delete(t.Context(), "c"))
	require.Eventually(t, func() bool { return s.value("c") == "gone" }, patience, time.Millisecond)
	require.Equal(t, "3", s.value("a"))
	f.Stop()
	f.Stop()
	put(t, kv, "a", "4")
	require.Equal(t, "3", s.value("a"))
}

func TestFollowEndsWithItsContext(t *testing.T) {
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Follow(ctx, n.Conn, kv, quiet, func() {}, func(jetstream.KeyValueEntry) {})
	require.EqualError(t, err, "watch bucket app_topology: context canceled")
	ctx, cancel = context.WithCancel(t.Context())
	_, err = Follow(ctx, n.Conn, kv, quiet, func() {}, func(jetstream.KeyValueEntry) { cancel() })
	require.EqualError(t, err, "watch bucket app_topology: context canceled")

	// Started, it does not end with the context of its start.
	ctx, cancel = context.WithCancel(t.Context())
	var s seen
	f, err := Follow(ctx, n.Conn, kv, quiet, func() {}, s.take)
	require.NoError(t, err)
	defer f.Stop()
	cancel()
	put(t, kv, "a", "2")
	require.Eventually(t, func() bool { return s.value("a") == "2" }, patience, time.Millisecond)
}

// A watch of the library alone took 16 s to notice that the server had been restarted.
func TestFollowGoesOnAfterARestartOfTheServer(t *testing.T) {
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	put(t, kv, "b", "1")
	var s seen
	f, err := Follow(t.Context(), n.Connect(t, nats.ReconnectWait(300*time.Millisecond)), bucket(t, n.Conn), quiet, func() {}, s.take)
	require.NoError(t, err)
	defer f.Stop()
	for i := range 3 {
		n.Stop()
		n.Start(t)
		begun := time.Now()
		late := bucket(t, n.Connect(t))
		put(t, late, "a", fmt.Sprint("meanwhile", i)) // most likely before the follower is back
		require.Eventually(t, func() bool { return s.value("a") == fmt.Sprint("meanwhile", i) }, patience, time.Millisecond)
		put(t, late, "b", fmt.Sprint("after", i))
		require.Eventually(t, func() bool { return s.value("b") == fmt.Sprint("after", i) }, patience, time.Millisecond)
		t.Logf("restart %d: back after %s", i, time.Since(begun).Round(time.Millisecond))
		require.Less(t, time.Since(begun), 4*time.Second)
	}
}

// goroutines counts those whose stacks contain all of the texts.
func goroutines(texts ...string) int {
	buf := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !slices.ContainsFunc(texts, func(w string) bool { return !strings.Contains(stack, w) }) {
			n++
		}
	}
	return n
}

// Each consumer has a goroutine of the library's, and a place in the server's memory.
func TestFollowLeavesNothingOverAtAReconnect(t *testing.T) {
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	put(t, kv, "a", "1")
	before := goroutines("(*Conn).waitForMsgs")
	var s seen
	f, err := Follow(t.Context(), n.Conn, kv, quiet, func() {}, s.take)
	require.NoError(t, err)
	one := goroutines("(*Conn).waitForMsgs") - before
	require.Positive(t, one)
	for i := range 5 {
		require.NoError(t, n.Conn.ForceReconnect())
		require.Eventually(t, func() bool { return s.allRounds() >= i+2 }, patience, time.Millisecond)
	}
	require.Eventually(t, func() bool { return goroutines("(*Conn).waitForMsgs")-before == one }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return len(testkit.Consumers(t, n.Conn, bucketStream(kv.Bucket()))) == 1 }, patience, 10*time.Millisecond)
	f.Stop()
	require.Equal(t, before, goroutines("(*Conn).waitForMsgs"))
	require.Eventually(t, func() bool { return len(testkit.Consumers(t, n.Conn, bucketStream(kv.Bucket()))) == 0 }, patience, 10*time.Millisecond)
}

// An entry that was read and cannot be handed over must not block its goroutine for ever.
func TestFollowStopsWhileMuchIsToCome(t *testing.T) {
	n := testkit.NATS(t)
	kv := bucket(t, n.Conn)
	leave := make(chan struct{})
	f, err := Follow(t.Context(), n.Conn, kv, quiet, func() {}, func(e jetstream.KeyValueEntry) {
		if e != nil && e.Key() == "block" {
			<-leave
		}
	})
	require.NoError(t, err)
	put(t, kv, "block", "")
	for i := range 300 {
		require.NoError(t, n.Conn.Publish(fmt.Sprint("$KV.app_topology.k", i), nil))
	}
	require.Eventually(t, func() bool { return goroutines("select", "(*entries).receive") > 0 }, patience, time.Millisecond)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		f.Stop()
	}()
	<-f.run.Done()
	close(leave)
	<-stopped
	require.Zero(t, goroutines("(*entries).receive"))
}

// Without its connection or its server there is nothing to wait for.
func TestFollowStopsWithoutTheServer(t *testing.T) {
	for name, end := range map[string]func(*testkit.NATSServer, *nats.Conn){
		"closed": func(_ *testkit.NATSServer, nc *nats.Conn) { nc.Close() },
		"gone":   func(n *testkit.NATSServer, _ *nats.Conn) { n.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			n := testkit.NATS(t)
			nc := n.Connect(t, nats.ReconnectBufSize(-1)) // as services connect
			var s seen
			f, err := Follow(t.Context(), nc, bucket(t, nc), quiet, func() {}, s.take)
			require.NoError(t, err)
			end(n, nc)
			begun := time.Now()
			f.Stop()
			require.Less(t, time.Since(begun), 2*time.Second)
		})
	}
}
