package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"example.com/lockstep/pkg/consume"
)

// Account is what we keep for one key.
type Account struct {
	Balance int64 `json:"balance"`
}

// Rules are this application's own flags, which stand among the worker's.
type Rules struct {
	Overdraft string `enum:"allow,refuse" default:"allow" help:"Whether a balance may become negative: allow or refuse. An event that is refused fails, and waits with all later ones of its key."`
}

// Handler returns what applies events under the rules.
func (r Rules) Handler() consume.Handler {
	if r.Overdraft == "refuse" {
		return consume.Typed(ApplyCovered)
	}
	return consume.Typed(Apply)
}

// Apply folds one event into its account. It decides from the account and the event alone, so that a replay of the log
// comes to the same account. An event for which it returns an error is retried, and later ones of its key wait meanwhile;
// consume.Park, Drop and Delete say something else (docs/handlers.md).
func Apply(_ context.Context, acc *Account, ev consume.Event) error {
	acc.Balance += amount(ev.Data)
	return nil
}

// ApplyCovered is Apply for accounts that may not be overdrawn.
func ApplyCovered(ctx context.Context, acc *Account, ev consume.Event) error {
	before := acc.Balance
	if err := Apply(ctx, acc, ev); err != nil {
		return err
	}
	if acc.Balance < min(before, 0) {
		return fmt.Errorf("the balance is %d and would become %d: overdrafts are refused", before, acc.Balance)
	}
	return nil
}

// amount reads a payload: JSON like {"amount":5}, also behind a number as in 3 {"amount":5}, which is how a load numbers its
// events; or anything that begins with a number. All else is worth nothing.
func amount(data []byte) int64 {
	digits := 0
	for digits < len(data) && data[digits] >= '0' && data[digits] <= '9' {
		digits++
	}
	if entry := bytes.TrimPrefix(data[digits:], []byte(" ")); len(entry) > 0 && entry[0] == '{' {
		var e struct {
			Amount int64 `json:"amount"`
		}
		if err := json.Unmarshal(entry, &e); err == nil {
			return e.Amount
		}
	}
	n, err := strconv.ParseInt(string(data[:digits]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
