package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
)

func TestStored(t *testing.T) {
	full := query.State{Key: "k", Found: true, Count: 2, Chain: "00ff00ff00ff00ff", Dropped: 1, Codec: 64, Schema: 1, Data: []byte("of any form")}
	got := stored(full)
	require.NoError(t, got.Err)
	require.Equal(t, expect.State{Found: true, Proof: store.Proof{Count: 2, Chain: 0xff00ff00ff00ff, Dropped: 1}}, got.State)
	require.Equal(t, full.Data, got.Data)

	got = stored(query.State{Key: "k"})
	require.NoError(t, got.Err)
	require.Zero(t, got.State, "a key without state has no events")

	got = stored(query.State{Key: "k", SetAside: 3, Parked: true})
	require.NoError(t, got.Err)
	require.Equal(t, expect.State{SetAside: 3, Parked: true}, got.State, "all events of a key may be set aside")

	for _, spoil := range []func(*query.State){
		func(s *query.State) { s.Chain = "" },
		func(s *query.State) { s.Chain = "10000000000000000" },
		func(s *query.State) { s.Chain = "x" },
		func(s *query.State) { s.Count, s.Dropped = 0, 0 },
	} {
		old := full
		spoil(&old)
		require.ErrorContains(t, stored(old).Err, "no proof of its state")
	}
}
