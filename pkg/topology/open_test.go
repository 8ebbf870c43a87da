package topology

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestRoutersThatOpenAtOnceCreateOneTopology(t *testing.T) {
	n := testkit.NATS(t)
	const routers = 8
	var ids [routers]string
	var errs [routers]error
	var log testkit.Log
	var all sync.WaitGroup
	for i := range routers {
		js := stream(t, n)
		all.Go(func() {
			var top Topology
			top, _, errs[i] = Open(t.Context(), js, "app", initial, log.Logger())
			ids[i] = top.ID
			if errs[i] == nil && !top.Ready {
				errs[i] = ErrNotFound
			}
		})
	}
	all.Wait()
	js := stream(t, n)
	top, err := Load(t.Context(), js, "app")
	require.NoError(t, err)
	require.True(t, top.Ready)
	require.Equal(t, []Epoch{{Epoch: 1, Shards: 4, Lanes: 2}}, top.Epochs)
	require.Equal(t, initial.Log, top.Log)
	for i := range routers {
		require.NoError(t, errs[i])
		require.Equal(t, top.ID, ids[i])
	}
	require.Equal(t, 1, strings.Count(log.String(), "topology created"), log.String())
	require.NotContains(t, log.String(), "not used")
	for lane := range 2 {
		s, err := js.Stream(t.Context(), StreamName("app", 1, lane))
		require.NoError(t, err)
		require.Equal(t, top.ID, s.CachedInfo().Config.Metadata[metadataID])
	}
}

func TestOpenKeepsTheFirstInitialValues(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	first, _, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	other := initial
	other.Shards, other.Lanes, other.Log.HistoryAge = 8, 4, time.Minute
	var log testkit.Log
	second, _, err := Open(t.Context(), js, "app", other, log.Logger())
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Contains(t, log.String(), "the initial values given here are not used")
	require.NotContains(t, log.String(), "topology created")
	_, err = js.Stream(t.Context(), StreamName("app", 1, 2))
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestOpenFinishesATopologyLeftUnready(t *testing.T) {
	for _, streams := range []int{0, 1, 2} {
		js := stream(t, testkit.NATS(t))
		kv, err := OpenBucket(t.Context(), js, "app", "topology", 1)
		require.NoError(t, err)
		half := Topology{Schema: schema, Needs: Format, ID: "half", Epochs: []Epoch{{Epoch: 1, Shards: 4, Lanes: 2}}, Log: initial.Log}
		_, err = kv.Create(t.Context(), topologyKey, encode(half))
		require.NoError(t, err)
		for lane := range streams {
			_, err = js.CreateStream(t.Context(), streamConfig("app", half, half.Epochs[0], lane))
			require.NoError(t, err)
		}
		got, _, err := Open(t.Context(), js, "app", initial, quiet)
		require.NoError(t, err)
		half.Ready = true
		require.Equal(t, half, got)
		loaded, err := Load(t.Context(), js, "app")
		require.NoError(t, err)
		require.Equal(t, half, loaded)
		require.NoError(t, CheckStreams(t.Context(), js, "app", got))
	}
}

func TestOpenRefuses(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	_, _, err := Open(t.Context(), js, "App", initial, quiet)
	require.ErrorContains(t, err, `app "App"`)
	_, _, err = Open(t.Context(), js, "app", Initial{}, quiet)
	require.ErrorContains(t, err, "0 shards")
	_, err = js.KeyValue(t.Context(), "app_topology")
	require.ErrorIs(t, err, jetstream.ErrBucketNotFound, "nothing is created")

	kv, err := OpenBucket(t.Context(), js, "app", "topology", 1)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), topologyKey, []byte(`{"schema":7}`))
	require.NoError(t, err)
	_, _, err = Open(t.Context(), js, "app", initial, quiet)
	require.ErrorContains(t, err, "schema 7 is not known")
	_, _, err = Join(t.Context(), js, "app", quiet)
	require.ErrorContains(t, err, "schema 7 is not known")
}

func TestBucketWithOtherSettings(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	for app, c := range map[string]struct {
		cfg  jetstream.KeyValueConfig
		want string
	}{
		"history": {jetstream.KeyValueConfig{History: 5, Storage: jetstream.FileStorage}, "history is 5, wanted 1"},
		"ttl":     {jetstream.KeyValueConfig{TTL: time.Hour, Storage: jetstream.FileStorage}, "TTL is 1h0m0s, wanted none"},
		"storage": {jetstream.KeyValueConfig{Storage: jetstream.MemoryStorage}, "storage is Memory, wanted File"},
	} {
		c.cfg.Bucket = Bucket(app, "topology")
		_, err := js.CreateKeyValue(t.Context(), c.cfg)
		require.NoError(t, err)
		_, _, err = Open(t.Context(), js, app, initial, quiet)
		require.ErrorIs(t, err, ErrMismatch)
		require.ErrorContains(t, err, "bucket "+c.cfg.Bucket)
		require.ErrorContains(t, err, c.want)
	}
}

func TestJoinWaitsForARouter(t *testing.T) {
	n := testkit.NATS(t)
	js := stream(t, n)
	var log testkit.Log
	joined := make(chan Topology, 1)
	failed := make(chan error, 1)
	go func() {
		top, _, err := Join(t.Context(), js, "app", log.Logger())
		joined <- top
		failed <- err
	}()
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "waiting for a router") }, patience, time.Millisecond)
	// A router that has created the bucket, and the topology, but not yet the streams.
	kv, err := OpenBucket(t.Context(), js, "app", "topology", 1)
	require.NoError(t, err)
	half := Topology{Schema: schema, Needs: Format, ID: "half", Epochs: []Epoch{{Epoch: 1, Shards: 4, Lanes: 2}}, Log: initial.Log}
	_, err = kv.Create(t.Context(), topologyKey, encode(half))
	require.NoError(t, err)
	select {
	case <-joined:
		t.Fatal("joined a topology that is not ready")
	case <-time.After(3 * joinRetryWait):
	}
	_, _, err = Open(t.Context(), stream(t, n), "app", initial, quiet)
	require.NoError(t, err)
	require.Equal(t, "half", (<-joined).ID)
	require.NoError(t, <-failed)
	require.Equal(t, 1, strings.Count(log.String(), "waiting for a router"))
}

// A request that is lost, for example with the server of a cluster that it went to, is repeated while the context lasts.
func TestJoinAsksAgain(t *testing.T) {
	n := testkit.NATS(t, func(o *server.Options) { o.JetStream = false })
	lost, err := n.Conn.SubscribeSync("$JS.API.>")
	require.NoError(t, err)
	js := stream(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	joined := make(chan error, 1)
	go func() {
		_, _, err := Join(ctx, js, "app", quiet)
		joined <- err
	}()
	_, err = lost.NextMsg(time.Minute)
	require.NoError(t, err)
	require.NoError(t, lost.Unsubscribe())
	require.NoError(t, n.Conn.Flush())
	require.NoError(t, n.Server.EnableJetStream(&server.JetStreamConfig{StoreDir: t.TempDir()}))
	_, _, err = Open(t.Context(), stream(t, n), "app", initial, quiet)
	require.NoError(t, err)
	require.NoError(t, <-joined)
	require.Less(t, time.Since(begun), 30*time.Second)
}

// Without an answer, the error does not blame the app's name.
func TestJoinWithoutAnAnswer(t *testing.T) {
	n := testkit.NATS(t, func(o *server.Options) { o.JetStream = false })
	_, err := n.Conn.SubscribeSync("$JS.API.>")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), joinTryTime*3/2)
	defer cancel()
	var log testkit.Log
	_, _, err = Join(ctx, stream(t, n), "app", log.Logger())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, ErrNotFound)
	require.NotContains(t, err.Error(), "is that the app's name?")
	require.Contains(t, log.String(), "NATS does not answer")
}

func TestJoinEndsWithItsContext(t *testing.T) {
	n := testkit.NATS(t)
	js := stream(t, n)
	_, _, err := Join(t.Context(), js, "App", quiet)
	require.ErrorContains(t, err, `app "App"`)

	// Wherever the end finds it: asking, or waiting to ask again.
	for _, wait := range []time.Duration{50 * time.Microsecond, time.Millisecond, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, _, err = Join(ctx, js, "app", quiet)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "topology of app app")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err = Join(ctx, js, "app", quiet)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, "no topology of app app: is a router running, and is that the app's name?")
	_, err = Load(t.Context(), js, "app")
	require.ErrorIs(t, err, ErrNotFound)
}
