package store_test

import (
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// Producers compute the same chains from what they sent, in all versions: they must not change. These are of an
// implementation of xxhash64 that is not ours.
func TestGoldenChains(t *testing.T) {
	var p store.Proof
	for i, want := range []uint64{0x53bedb4a9bbaf5c8, 0x6d8f9544d8893f76, 0xe97c7959160b121e, 0x85f16df02d871ed8} {
		p = p.Apply([]byte([]string{"1 aaaaaaaa", "2 bbbbbbbb", `{"amount":5}`, ""}[i]))
		require.Equal(t, store.Proof{Count: uint64(i + 1), Chain: want}, p)
	}
	require.Equal(t, xxhash.Sum64String("\x00\x00\x00\x00\x00\x00\x00\x001 x"), store.Proof{}.Apply([]byte("1 x")).Chain)
	require.Equal(t, uint64(7), store.Proof{Dropped: 7}.Apply(nil).Dropped)
}

func TestOrderAndCopiesShow(t *testing.T) {
	seen := make(map[store.Proof]bool)
	for _, order := range [][]string{{"1", "2", "3"}, {"2", "1", "3"}, {"1", "3", "2"}, {"1", "2"}, {"1", "2", "3", "3"}, {"12", "3"}} {
		var p store.Proof
		for _, payload := range order {
			p = p.Apply([]byte(payload))
		}
		require.False(t, seen[p], "%v", order)
		seen[p] = true
	}
}

// The bytes in the store outlive this version.
func TestStoredState(t *testing.T) {
	p := store.Proof{Count: 300, Chain: 0x0102030405060708, Dropped: 1}
	stored := store.Envelope{Codec: store.CodecJSON, Schema: 1, Data: []byte("{}")}.Append(p.Append(nil))
	require.Equal(t, "\xac\x02\x01\x02\x03\x04\x05\x06\x07\x08\x01\x01\x01{}", string(stored))
	got, envelope, err := store.SplitState(stored)
	require.NoError(t, err)
	require.Equal(t, p, got)
	require.Equal(t, "\x01\x01{}", string(envelope))
	for n := range 11 {
		_, _, err := store.SplitState(stored[:n])
		require.Error(t, err, "cut to %d bytes", n)
	}
}
