package store_test

import (
	"testing"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestPositionRoundTrip(t *testing.T) {
	for _, bad := range []string{"1", "1 2", "1 2 x", "1 2 3 4", "-1 2 3"} {
		_, err := store.ParsePosition(bad)
		require.Error(t, err, bad)
	}
	p, err := store.ParsePosition("")
	require.NoError(t, err)
	require.Equal(t, store.Position{}, p)
	require.Empty(t, p.String())
	p, err = store.ParsePosition("2 77 1700000000123456789")
	require.NoError(t, err)
	require.Equal(t, "2 77 1700000000123456789", p.String())
	p, err = store.ParsePosition("2 77 0")
	require.NoError(t, err)
	require.True(t, p.Time.IsZero())
	require.Equal(t, "2 77 0", p.String())
}

func TestEnvelope(t *testing.T) {
	b := store.Envelope{Codec: store.CodecJSON, Schema: 300, Data: []byte(`{"a":1}`)}.Append(nil)
	e, err := store.DecodeEnvelope(b)
	require.NoError(t, err)
	require.Equal(t, uint64(300), e.Schema)
	require.Equal(t, `{"a":1}`, string(e.Data))
	for _, bad := range [][]byte{nil, {1}, {0x80}, {1, 0x80}} {
		_, err := store.DecodeEnvelope(bad)
		require.Error(t, err)
	}
}

// Only store/redis links Redis: a router or a test of the interface does not need it.
func TestStoreLinksNoRedis(t *testing.T) {
	for _, path := range testkit.Deps(t, ".") {
		require.NotContains(t, path, "redis")
	}
}
