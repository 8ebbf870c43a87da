package topology

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestStreamWithOtherSettings(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	top, _, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	name := StreamName("app", 1, 1)
	for want, change := range map[string]func(*jetstream.StreamConfig){
		`topology id is "another", wanted "` + top.ID: func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{metadataID: "another"} },
		`topology id is "", wanted "`:                 func(c *jetstream.StreamConfig) { c.Metadata = nil },
		"subjects is [app.work.1.1.* more], wanted":   func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "more") },
		"subjects is [app.work.1.1.0], wanted":        func(c *jetstream.StreamConfig) { c.Subjects = []string{"app.work.1.1.0"} },
		"retention is WorkQueue, wanted Limits":       func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"storage is Memory, wanted File":              func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"discard policy is DiscardOld, wanted":        func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"max age is 1h0m0s, wanted none":              func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max messages is 1000, wanted none":           func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"max messages per subject is 9, wanted none":  func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 9 },
		"max message size is 10000, wanted none":      func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10000 },
		"no-ack is true, wanted false":                func(c *jetstream.StreamConfig) { c.NoAck = true },
		"persist mode is Async, wanted none":          func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"subject transform is": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "app.work.1.1.*", Destination: "elsewhere.{{wildcard(1)}}"}
		},
	} {
		require.NoError(t, js.DeleteStream(t.Context(), name))
		cfg := streamConfig("app", top, top.Current(), 1)
		change(&cfg)
		_, err = js.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
		_, _, err = Open(t.Context(), js, "app", initial, quiet)
		require.ErrorIs(t, err, ErrMismatch, want)
		require.ErrorContains(t, err, "stream APP_1_1: ")
		require.ErrorContains(t, err, want)
		_, _, err = Join(t.Context(), js, "app", quiet)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, js.DeleteStream(t.Context(), name))
	_, _, err = Open(t.Context(), js, "app", initial, quiet)
	require.ErrorIs(t, err, ErrMismatch)
	require.ErrorContains(t, err, "stream APP_1_1: settings differ: it is gone, though topology "+top.ID+" has it")
}

// Another app's stream that takes the subjects, or a stream left by an older topology of the app, is not used.
func TestStreamOfAnother(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "other", Subjects: []string{"app.>"}})
	require.NoError(t, err)
	_, _, err = Open(t.Context(), js, "app", initial, quiet)
	require.ErrorContains(t, err, "create stream APP_1_0: ")
	require.ErrorContains(t, err, "overlap")
	require.NoError(t, js.DeleteStream(t.Context(), "other"))
	top, kv, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)

	next := top
	next.ID, next.Ready = "another", false
	put(t, kv, topologyKey, string(encode(next)))
	_, _, err = Open(t.Context(), js, "app", initial, quiet)
	require.ErrorIs(t, err, ErrMismatch)
	require.ErrorContains(t, err, `stream APP_1_0: settings differ: topology id is "`+top.ID+`"`)
}

func TestEnds(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	top, _, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	e := top.Current()
	ends, err := Ends(t.Context(), js, "app", e)
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 0, 0, 0}, ends)
	want := make([]uint64, 4)
	for _, shard := range []int{1, 3, 1, 0, 3, 3} { // shards 1 and 3 lie on lane 1, shard 2 gets nothing
		ack, err := js.Publish(t.Context(), WorkSubject("app", 1, e.Lane(shard), shard), nil)
		require.NoError(t, err)
		require.Equal(t, StreamName("app", 1, e.Lane(shard)), ack.Stream)
		want[shard] = ack.Sequence
	}
	ends, err = Ends(t.Context(), js, "app", e)
	require.NoError(t, err)
	require.Equal(t, want, ends)
	require.Equal(t, []uint64{1, 3, 0, 5}, ends)

	require.NoError(t, js.DeleteStream(t.Context(), StreamName("app", 1, 1)))
	_, err = Ends(t.Context(), js, "app", e)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	require.Regexp(t, `read end of shard \d on lane 1: `, err.Error(), "whichever is asked first")
}

// A follower that lags must not answer for the log: streams of an older release are changed in this one setting.
func TestDirectGetsAreEnded(t *testing.T) {
	n := testkit.NATS(t)
	n.NoDirectGets(t)
	js := stream(t, n)
	top, _, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), StreamName("app", 1, 1))
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	require.False(t, cfg.AllowDirect)
	older := cfg
	older.AllowDirect = true
	_, err = js.UpdateStream(t.Context(), older)
	require.NoError(t, err)
	var log testkit.Log
	again, _, err := Open(t.Context(), js, "app", initial, log.Logger())
	require.NoError(t, err)
	require.Equal(t, top, again)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, cfg, info.Config)
	require.Contains(t, log.String(), "and without direct gets\" stream=APP_1_1")
}
