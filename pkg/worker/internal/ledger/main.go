// Command ledger is a worker service for tests of package worker: it keeps a balance for each key.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/worker"
)

type account struct {
	Balance int64 `json:"balance"`
}

type rules struct {
	Overdraft string `enum:"allow,refuse" default:"allow" help:"Whether a balance may become negative."`
}

func (r *rules) Handler() consume.Handler {
	return consume.Typed(func(_ context.Context, acc *account, ev consume.Event) error {
		var e struct {
			Amount int64 `json:"amount"`
		}
		_ = json.Unmarshal(ev.Data, &e) // all else is worth nothing
		before := acc.Balance
		acc.Balance += e.Amount
		if r.Overdraft == "refuse" && acc.Balance < min(before, 0) {
			return fmt.Errorf("the balance is %d and would become %d: overdrafts are refused", before, acc.Balance)
		}
		return nil
	})
}

func main() { worker.Main(worker.Program{Name: "worker", Rules: new(rules)}) }
