package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/query"

	"example.com/lockstep/services/producer/internal/expect"
)

func TestAccount(t *testing.T) {
	full := query.State{Key: "k", Found: true, Codec: 1, Schema: 1, Data: []byte(`{"balance":-3,"events":2,"digest":18446744073709551615}`)}
	got := account(full)
	require.NoError(t, got.Err)
	require.Equal(t, expect.Account{Balance: -3, Events: 2, Digest: 18446744073709551615}, got.Account)

	got = account(query.State{Key: "k"})
	require.NoError(t, got.Err)
	require.Zero(t, got.Account, "a key without state has no events")

	other := full
	other.Codec = 2
	require.ErrorContains(t, account(other).Err, "codec 2")
	broken := full
	broken.Data = []byte(`{"digest":-1}`)
	require.ErrorContains(t, account(broken).Err, "not an account")
}
