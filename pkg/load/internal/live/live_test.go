package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/query"
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
	require.ErrorIs(t, account(other).Err, drive.ErrNoLedger)
	for _, data := range []string{`{}`, `null`, `[1]`, `5`, `{"balance":1,"events":1}`, `{"count":1}`} {
		other := full
		other.Data = []byte(data)
		require.ErrorIs(t, account(other).Err, drive.ErrNoLedger, data)
	}
	for data, says := range map[string]string{
		`{"balance":1,"events":1,"digest":-1}`: "not an account",
		`{"balance":1,`:                        "not JSON",
	} {
		broken := full
		broken.Data = []byte(data)
		require.ErrorContains(t, account(broken).Err, says)
		require.NotErrorIs(t, account(broken).Err, drive.ErrNoLedger, "a broken account is a finding")
	}
}
