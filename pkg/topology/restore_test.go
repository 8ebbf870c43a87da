package topology

import (
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Where the streams are and the topology's entry is not, nothing is written that would not fit them, and the entry can be
// written again.
func TestRestore(t *testing.T) {
	for name, lose := range map[string]func(jetstream.JetStream, jetstream.KeyValue) error{
		"deleted": func(_ jetstream.JetStream, kv jetstream.KeyValue) error { return kv.Delete(t.Context(), topologyKey) },
		"purged without a trace": func(js jetstream.JetStream, kv jetstream.KeyValue) error {
			s, err := js.Stream(t.Context(), bucketStream(kv.Bucket()))
			if err == nil {
				err = s.Purge(t.Context())
			}
			return err
		},
		"with its bucket": func(js jetstream.JetStream, kv jetstream.KeyValue) error {
			return js.DeleteKeyValue(t.Context(), kv.Bucket())
		},
	} {
		t.Run(name, func(t *testing.T) {
			js := stream(t, testkit.NATS(t))
			top, kv, err := Open(t.Context(), js, "app", initial, quiet)
			require.NoError(t, err)
			_, err = Restore(t.Context(), js, "app", quiet)
			require.ErrorContains(t, err, "nothing was changed")
			require.NoError(t, lose(js, kv))

			_, _, err = Open(t.Context(), js, "app", initial, quiet)
			require.ErrorIs(t, err, ErrEntryGone)
			require.ErrorContains(t, err, `its streams exist (APP_1_0, APP_1_1; topology "`+top.ID+`"): nothing was written; write the entry again: router restore-topology --app=app`)
			_, err = Load(t.Context(), js, "app")
			require.ErrorIs(t, err, ErrNotFound)

			restored, err := Restore(t.Context(), js, "app", quiet)
			require.NoError(t, err)
			require.Equal(t, top, restored)
			again, _, err := Open(t.Context(), js, "app", initial, quiet)
			require.NoError(t, err)
			require.Equal(t, top, again)
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	js := stream(t, testkit.NATS(t))
	_, err := Restore(t.Context(), js, "app", quiet)
	require.ErrorIs(t, err, ErrNotFound)
	top, kv, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	require.NoError(t, kv.Purge(t.Context(), topologyKey))

	s, err := js.Stream(t.Context(), StreamName("app", 1, 1))
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	require.NoError(t, js.DeleteStream(t.Context(), cfg.Name))
	_, err = Restore(t.Context(), js, "app", quiet)
	require.ErrorIs(t, err, ErrMismatch)
	require.ErrorContains(t, err, "stream APP_1_1")

	for want, metadata := range map[string]map[string]string{
		"an older release made the stream": {metadataID: top.ID},
		"is of topology":                   {metadataID: "other", metadataEntry: cfg.Metadata[metadataEntry]},
		"schema 99 is not known":           {metadataID: top.ID, metadataEntry: `{"schema":99}`},
	} {
		cfg.Metadata = metadata
		_, err = js.CreateOrUpdateStream(t.Context(), cfg)
		require.NoError(t, err)
		_, err = Restore(t.Context(), js, "app", quiet)
		require.ErrorContains(t, err, want)
		_, err = Load(t.Context(), js, "app")
		require.ErrorIs(t, err, ErrNotFound)
	}
}
