package main

import (
	"context"
	"encoding/json"
	"testing"

	"example.com/lockstep/pkg/consume"
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
		`3 {"amount":5}`:                5, // of a load
		`3 {"amount":-5}`:               -5,
		`3 {"amount":5`:                 3,
		`3 {`:                           3,
		`3{"amount":5}`:                 5,
		`3  {"amount":5}`:               3,
	} {
		require.Equal(t, want, amount([]byte(data)), data)
	}
}

func TestApply(t *testing.T) {
	var acc Account
	for i, want := range []int64{1, 3, 8, 8, 6} {
		payload := []string{"1 aaaaaaaa", "2 bbbbbbbb", `{"amount":5}`, "", `{"amount":-2}`}[i]
		require.NoError(t, Apply(context.Background(), &acc, consume.Event{Key: "k", Data: []byte(payload)}))
		require.Equal(t, want, acc.Balance, "after %q", payload)
	}
}

// With overdrafts refused an event that would take more than there is fails, and it alone.
func TestApplyCovered(t *testing.T) {
	acc := Account{Balance: 5}
	apply := func(payload string) error {
		before := acc
		err := ApplyCovered(context.Background(), &acc, consume.Event{Key: "k", Data: []byte(payload)})
		if err != nil {
			acc = before // the worker throws a state away whose event failed
		}
		return err
	}
	require.NoError(t, apply(`{"amount":-5}`))
	require.EqualError(t, apply(`2 {"amount":-7}`), "the balance is 0 and would become -7: overdrafts are refused")
	require.NoError(t, apply(`{"amount":3}`))
	require.EqualValues(t, 3, acc.Balance)

	acc.Balance = -9 // from a time when overdrafts were allowed
	require.NoError(t, apply(`{"amount":3}`))
	require.Error(t, apply(`{"amount":-1}`))
	require.EqualValues(t, -6, acc.Balance)
}

// Other programs read the stored state.
func TestStoredForm(t *testing.T) {
	b, err := json.Marshal(Account{Balance: -7})
	require.NoError(t, err)
	require.Equal(t, `{"balance":-7}`, string(b))
}
