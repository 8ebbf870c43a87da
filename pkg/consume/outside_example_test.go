package consume_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"example.com/lockstep/pkg/consume"
)

// Bank is a service outside, which pays out over HTTP. Handlers call it at least once for each event, and perhaps long after
// another owner has gone on; it pays each event once.
//
// It keeps its books in memory: mu is its transaction, and all checks come before the first write, so that an attempt that
// fails leaves no trace. With a database it is one transaction that locks the key's row, with the same four steps.
type Bank struct {
	mu       sync.Mutex
	cash     int64
	payments map[string][]Payment // the effects, by key, in the order in which they were made
	answers  map[string]Paid      // by event id. Keep them for as long as the log keeps events that are applied (router --history-age)
	fences   map[string]uint64    // by key: the newest fence under which an effect was made
}

// Payment asks for an effect.
type Payment struct {
	ID     string `json:"id"` // of the event
	Key    string `json:"key"`
	Fence  uint64 `json:"fence"`
	Amount int64  `json:"amount"`
}

// Paid answers it.
type Paid struct {
	Number int `json:"number"` // of the payment, among its key's
}

var (
	errOldFence = errors.New("a newer owner has paid for this key")
	errNoCash   = errors.New("not enough cash")
)

// NewBank returns a Bank that has so much cash.
func NewBank(cash int64) *Bank {
	return &Bank{cash: cash, payments: make(map[string][]Payment), answers: make(map[string]Paid), fences: make(map[string]uint64)}
}

// PayIn adds cash.
func (b *Bank) PayIn(amount int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cash += amount
}

// Payments are those of a key, in the order in which they were made.
func (b *Bank) Payments(key string) []Payment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.payments[key])
}

// Pay makes a payment once.
func (b *Bank) Pay(p Payment) (Paid, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if paid, found := b.answers[p.ID]; found {
		return paid, nil // 1. a repeat is answered as before, under any fence
	}
	if p.Fence < b.fences[p.Key] {
		return Paid{}, errOldFence // 2. for this key alone: other keys may be another shard's, whose fences are others
	}
	if b.cash < p.Amount {
		return Paid{}, errNoCash // 3. what may fail comes before the first write
	}
	b.cash -= p.Amount // 4. the effect, the id with its answer, and the fence: all or nothing
	b.payments[p.Key] = append(b.payments[p.Key], p)
	paid := Paid{Number: len(b.payments[p.Key])}
	b.answers[p.ID] = paid
	b.fences[p.Key] = p.Fence
	return paid, nil
}

// ServeHTTP answers with 200 and what was paid, 409 for an old fence, and 503 for what may succeed later.
func (b *Bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var p Payment
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	paid, err := b.Pay(p)
	switch {
	case errors.Is(err, errOldFence):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		_ = json.NewEncoder(w).Encode(paid)
	}
}

// Payouts is the state of one key.
type Payouts struct {
	Total  int64 `json:"total"`
	Events int   `json:"events"`
}

// PayOut returns a handler that has each event's amount paid by the bank at url. It keeps nothing of the bank's answer: a replay
// may be refused where the first attempt was paid, and must come to the same state.
func PayOut(client *http.Client, url string) func(context.Context, *Payouts, consume.Event) error {
	return func(ctx context.Context, state *Payouts, ev consume.Event) error {
		var amount int64
		if err := json.Unmarshal(ev.Data, &amount); err != nil {
			return consume.Park(fmt.Errorf("event has no amount: %w", err)) // no attempt can succeed
		}
		if err := askToPay(ctx, client, url, Payment{ID: ev.ID(), Key: ev.Key, Fence: ev.Fence, Amount: amount}); err != nil {
			return err // to be tried again, with the same id: perhaps it was paid, and only the answer was lost
		}
		state.Total += amount
		state.Events++
		return nil
	}
}

// askToPay returns nil when the payment is made, or is none of ours any more.
func askToPay(ctx context.Context, client *http.Client, url string, p Payment) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body)) // ctx ends with the time for the attempt, or the lease
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusConflict:
		// A newer owner has paid for this key. Either our shard is another's by now, and our commit will be refused. Or this
		// is a replay under a fence that went back, and the event was paid before.
		return nil
	default:
		return fmt.Errorf("bank answers %s", res.Status)
	}
}

// An effect outside is made safe by the other side: it looks for the event's id first, and answers a repeat as before. Then it
// refuses a fence that is older than the newest under which it made an effect for that key. It keeps id, answer and fence in
// one transaction with the effect. The handler takes that refusal as done.
func Example_outside() {
	bank := NewBank(100)
	server := httptest.NewServer(bank)
	defer server.Close()
	handler := consume.Typed(PayOut(server.Client(), server.URL))

	attempt := func(says, id string, fence uint64, amount string) {
		state, err := handler.Decode(nil)
		check(err)
		ev := consume.NewEvent(id, "alice", []byte(amount), nil)
		ev.Fence = fence
		err = handler.Apply(context.Background(), state, ev)
		fmt.Printf("%s: %v; payments: %d\n", says, err, len(bank.Payments("alice")))
	}
	attempt("first attempt", "event-1", 7, "30")
	attempt("a repeat by the next owner", "event-1", 8, "30")
	attempt("more than there is", "event-2", 8, "80")
	bank.PayIn(50)
	attempt("the same again", "event-2", 8, "80")
	attempt("an owner of the past", "event-3", 7, "10")
	// Output:
	// first attempt: <nil>; payments: 1
	// a repeat by the next owner: <nil>; payments: 1
	// more than there is: bank answers 503 Service Unavailable; payments: 1
	// the same again: <nil>; payments: 2
	// an owner of the past: <nil>; payments: 2
}
