package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"

	"example.com/lockstep/pkg/consume"
	"github.com/cespare/xxhash/v2"
)

// Account is what we keep for one key: a ledger of the events applied to it.
type Account struct {
	Balance int64  `json:"balance"`
	Events  uint64 `json:"events"`
	Digest  uint64 `json:"digest"` // of all payloads, in the order applied
}

// Apply folds one event into its account. It decides from the account and the event alone, so that a replay of the log
// comes to the same account. Return an error only for what may succeed later: the shard retries it, and waits meanwhile.
func Apply(_ context.Context, acc *Account, ev consume.Event) error {
	acc.Balance += amount(ev.Data)
	acc.Events++
	acc.Digest = chain(acc.Digest, ev.Data)
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

// chain adds a payload to a digest: two accounts with the same digest have applied the same payloads in the same order.
func chain(digest uint64, payload []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	var before [8]byte
	binary.BigEndian.PutUint64(before[:], digest)
	_, _ = d.Write(before[:]) // never fails
	_, _ = d.Write(payload)
	return d.Sum64()
}
