package topology

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A log that does not fit says how much would, and does not stand in the way of a router with other values.
func TestRoomForTheLog(t *testing.T) {
	n := testkit.NATS(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 })
	js := stream(t, n)
	large := initial
	large.Log.MaxBytes = 768 << 20 // twice: one of them would fit
	for range 2 {
		_, _, err := Open(t.Context(), js, "app", large, quiet)
		require.ErrorIs(t, err, ErrNoRoom)
		require.ErrorContains(t, err, "the log asks for 1.5 GiB (--log-bytes) on each of 1 servers, in 2 streams, and about 1023 MiB are free")
	}
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		require.NotContains(t, name, "ROOM")
	}

	small := initial
	small.Shards, small.Lanes, small.Log.MaxBytes = 3, 1, 512<<20
	var log testkit.Log
	top, _, err := Open(t.Context(), js, "app", small, log.Logger())
	require.NoError(t, err)
	require.True(t, top.Ready)
	require.Equal(t, []Epoch{{Epoch: 2, Shards: 3, Lanes: 1}}, top.Epochs)
	require.Equal(t, small.Log, top.Log)
	require.Contains(t, log.String(), "topology was not ready: its initial values are replaced")
	_, err = js.Stream(t.Context(), StreamName("app", 1, 0))
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	s, err := js.Stream(t.Context(), StreamName("app", 2, 0))
	require.NoError(t, err)
	require.EqualValues(t, 512<<20, s.CachedInfo().Config.MaxBytes)
	loaded, err := Load(t.Context(), js, "app")
	require.NoError(t, err)
	require.Equal(t, top, loaded)

	// Ready, it stays as it is.
	again, _, err := Open(t.Context(), js, "app", initial, log.Logger())
	require.NoError(t, err)
	require.Equal(t, top, again)
	require.Contains(t, log.String(), "the initial values given here are not used")
}

// Replacing a topology that is not ready deletes a stream only if it is the topology's own and was never written to.
func TestReplacedTopologyLeavesMessages(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	_, err := OpenBucket(t.Context(), js, "app", "topology", 1)
	require.NoError(t, err)
	half := Topology{Schema: schema, Needs: Format, ID: "half", Epochs: []Epoch{{Epoch: 1, Shards: 6, Lanes: 3}}, Log: initial.Log}
	kv, err := js.KeyValue(t.Context(), Bucket("app", "topology"))
	require.NoError(t, err)
	_, err = kv.Create(t.Context(), topologyKey, encode(half))
	require.NoError(t, err)
	for lane := range 3 {
		_, err = js.CreateStream(t.Context(), streamConfig("app", half, half.Epochs[0], lane))
		require.NoError(t, err)
	}
	_, err = js.Publish(t.Context(), WorkSubject("app", 1, 2, 2), []byte("x"))
	require.NoError(t, err)
	top, _, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	require.Equal(t, []Epoch{{Epoch: 2, Shards: 4, Lanes: 2}}, top.Epochs)
	_, err = js.Stream(t.Context(), StreamName("app", 1, 1))
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	s, err := js.Stream(t.Context(), StreamName("app", 1, 2))
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs, "nothing that was stored is deleted")
}

// A router with other values starts while one is about to finish: one of them wins, and all streams fit the stored topology.
func TestRoutersWithOtherValuesAtOnce(t *testing.T) {
	n := testkit.NATS(t)
	other := initial
	other.Shards, other.Lanes, other.Log.MaxBytes = 9, 3, 1<<25
	done := make(chan error, 6)
	for i := range cap(done) {
		in := []Initial{initial, other}[i%2]
		js := stream(t, n)
		go func() {
			var err error
			for range 100 { // as one that is started again
				if _, _, err = Open(t.Context(), js, "app", in, quiet); err == nil {
					break
				}
			}
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	js := stream(t, n)
	top, err := Load(t.Context(), js, "app")
	require.NoError(t, err)
	require.True(t, top.Ready)
	require.NoError(t, CheckStreams(t.Context(), js, "app", top))
	for lane := range top.Current().Lanes {
		s, err := js.Stream(t.Context(), StreamName("app", top.Current().Epoch, lane))
		require.NoError(t, err)
		require.Equal(t, top.Log.MaxBytes, s.CachedInfo().Config.MaxBytes)
	}
}

// older is a connection to a server that says it is of another version.
type older struct {
	net.Conn
	version string
}

// Read changes the version in the server's greeting, which it may send more than once.
func (o *older) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b[:len(b)-len(o.version)])
	return copy(b, bytes.ReplaceAll(b[:n], []byte(`"version":"`+server.VERSION+`"`), []byte(`"version":"`+o.version+`"`))), err
}

type olderDialer struct{ version string }

func (d olderDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &older{Conn: c, version: d.version}, err
}

func TestServerThatIsTooOld(t *testing.T) {
	n := testkit.NATS(t)
	for version, old := range map[string]bool{"2.9.25": true, "1.4.1": true, "2.10.0": false, "2.10.29": false, "3.0.0": false, "odd": false} {
		js, err := jetstream.New(n.Connect(t, nats.SetCustomDialer(olderDialer{version})))
		require.NoError(t, err)
		app := strings.NewReplacer(".", "-").Replace("app-" + version)
		_, _, err = Open(t.Context(), js, app, initial, quiet)
		if !old {
			require.NoError(t, err, version)
			continue
		}
		require.ErrorIs(t, err, ErrServerTooOld)
		require.ErrorContains(t, err, "it is "+version+", and the log needs 2.10.29 or newer")
		_, _, err = Join(t.Context(), js, app, quiet)
		require.ErrorIs(t, err, ErrServerTooOld)
		_, err = js.KeyValue(t.Context(), Bucket(app, "topology"))
		require.ErrorIs(t, err, jetstream.ErrBucketNotFound, "nothing is written")
	}
}

// A server older than 2.10 forgot the marks of streams, and an older release called the topology ready.
func TestUnmarkedStreamsAfterAnUpgrade(t *testing.T) {
	for _, ready := range []bool{true, false} {
		js := stream(t, testkit.NATS(t))
		kv, err := OpenBucket(t.Context(), js, "app", "topology", 1)
		require.NoError(t, err)
		half := Topology{Schema: schema, Needs: Format, ID: "half", Created: time.Unix(1, 0).UTC(), Ready: ready, Epochs: []Epoch{{Epoch: 1, Shards: 4, Lanes: 2}}, Log: initial.Log}
		_, err = kv.Create(t.Context(), topologyKey, encode(half))
		require.NoError(t, err)
		for lane := range 2 {
			cfg := streamConfig("app", half, half.Epochs[0], lane)
			cfg.Metadata = nil
			_, err = js.CreateStream(t.Context(), cfg)
			require.NoError(t, err)
		}
		top, _, err := Open(t.Context(), js, "app", initial, quiet)
		require.NoError(t, err)
		require.True(t, top.Ready)
		require.Equal(t, "half", top.ID)
	}
}
