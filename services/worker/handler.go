package main

import (
	"context"
	"encoding/json"
	"strconv"

	"example.com/lockstep/pkg/consume"
)

// Account is what we keep for one key.
type Account struct {
	Balance int64 `json:"balance"`
}

// Apply folds one event into its account. It decides from the account and the event alone, so that a replay of the log
// comes to the same account. Return an error only for what may succeed later: the shard retries it, and waits meanwhile.
// Return consume.Delete to say that the event is applied and that nothing more is kept of its key.
func Apply(_ context.Context, acc *Account, ev consume.Event) error {
	acc.Balance += amount(ev.Data)
	return nil
}

// amount reads a payload: JSON like {"amount":5}, or anything that begins with a number. All else is worth nothing.
func amount(data []byte) int64 {
	if len(data) > 0 && data[0] == '{' {
		var entry struct {
			Amount int64 `json:"amount"`
		}
		if json.Unmarshal(data, &entry) != nil {
			return 0
		}
		return entry.Amount
	}
	digits := 0
	for digits < len(data) && data[digits] >= '0' && data[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(string(data[:digits]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
