package storetest

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// stateOrList has commits that each take a key's list and give it a state, or the other way round. A reader sees one of both at any
// time, never neither and never both: a judge that saw neither would call the key's events lost.
func stateOrList(t *testing.T, s Kept) {
	ctx, done := context.Background(), make(chan struct{})
	version := store.NewVersion()
	st := s.At("one")
	_, err := st.Claim(ctx, 0, 1, version)
	require.NoError(t, err)
	commit := func(state []byte, list store.List) error {
		c := &store.Commit{Shard: 0, Old: version, New: store.NewVersion(), States: []store.Pair{{Key: "k", Value: state}}, Lists: []store.List{list}}
		version = c.New
		return st.Commit(ctx, c)
	}
	require.NoError(t, commit([]byte("state"), store.List{Key: "k"}))
	failed := make(chan error, 1)
	go func() {
		defer close(done)
		for i := range uint64(300) {
			err := commit(nil, store.List{Key: "k", Head: []byte("head"), At: i, Events: [][]byte{[]byte("event")}})
			if err == nil {
				err = commit([]byte("state"), store.List{Key: "k", Drop: i, Till: i + 1})
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		states, heads, err := st.States(ctx, 0, []string{"k"})
		require.NoError(t, err)
		require.NotEqual(t, states[0] == nil, heads[0] == nil, "state %q and list %q at one time", states[0], heads[0])
	}
	select {
	case err := <-failed:
		require.NoError(t, err)
	default:
	}
}
