package main

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"example.com/lockstep/pkg/consume"
	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

func TestAmount(t *testing.T) {
	for data, want := range map[string]int64{
		"":                              0,
		"5":                             5,
		"12 aaaa":                       12,
		"007x":                          7,
		"hello 5":                       0,
		" 5":                            0,
		"9223372036854775807":           9223372036854775807,
		"9223372036854775808":           0, // no int64
		`{"amount":5}`:                  5,
		`{"amount":-5,"note":"refund"}`: -5,
		`{"amount":1.5}`:                0,
		`{"amount":"5"}`:                0,
		`{}`:                            0,
		`{"amount":5`:                   0,
	} {
		require.Equal(t, want, amount([]byte(data)), data)
	}
}

// Producers compute the same digests from what they sent, in whatever version: they must not change. These are of an
// implementation of xxhash64 that is not ours.
func TestGoldenDigests(t *testing.T) {
	var acc Account
	for i, want := range []Account{
		{Balance: 1, Events: 1, Digest: 0x53bedb4a9bbaf5c8},
		{Balance: 3, Events: 2, Digest: 0x6d8f9544d8893f76},
		{Balance: 8, Events: 3, Digest: 0xe97c7959160b121e},
		{Balance: 8, Events: 4, Digest: 0x85f16df02d871ed8},
	} {
		payload := []string{"1 aaaaaaaa", "2 bbbbbbbb", `{"amount":5}`, ""}[i]
		require.NoError(t, Apply(context.Background(), &acc, consume.Event{Key: "k", Data: []byte(payload)}))
		require.Equal(t, want, acc, "after %q", payload)
	}
}

func TestFirstDigest(t *testing.T) {
	var acc Account
	require.NoError(t, Apply(context.Background(), &acc, consume.Event{Data: []byte("1 x")}))
	require.Equal(t, xxhash.Sum64String("\x00\x00\x00\x00\x00\x00\x00\x001 x"), acc.Digest)
}

func TestOrderAndCopiesShow(t *testing.T) {
	digest := func(payloads ...string) uint64 {
		var acc Account
		for _, p := range payloads {
			require.NoError(t, Apply(context.Background(), &acc, consume.Event{Data: []byte(p)}))
		}
		return acc.Digest
	}
	seen := make(map[uint64]string)
	for _, order := range [][]string{{"1", "2", "3"}, {"2", "1", "3"}, {"1", "3", "2"}, {"1", "2"}, {"1", "2", "3", "3"}, {"12", "3"}} {
		d := digest(order...)
		require.Empty(t, seen[d], "%v", order)
		seen[d] = strconv.Itoa(len(order))
	}
}

// Other programs read the stored state.
func TestStoredForm(t *testing.T) {
	b, err := json.Marshal(Account{Balance: -7, Events: 2, Digest: 1<<64 - 1})
	require.NoError(t, err)
	require.Equal(t, `{"balance":-7,"events":2,"digest":18446744073709551615}`, string(b))
}
