package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// effects updates accounts in Redis. Each belongs to one goroutine.
type effects struct {
	rdb  redis.UniversalClient
	flow *flow

	// Of the last batch, to be used again.
	place    map[string]int // of a key in the following
	names    []string
	accounts []account
	sets     []any
}

func newEffects(rdb redis.UniversalClient, f *flow) *effects {
	return &effects{rdb: rdb, flow: f, place: map[string]int{}}
}

// accountKey is where a key's account lies.
func accountKey(key string) string { return "account:" + key }

// one has the effect of one event: two round trips.
func (e *effects) one(ctx context.Context, key string, payload []byte) error {
	stored, err := e.rdb.Get(ctx, accountKey(key)).Bytes()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read an account: %w", err)
	}
	acc, err := decodeAccount(stored)
	if err != nil {
		return err
	}
	acc.apply(payload)
	if err := e.rdb.Set(ctx, accountKey(key), acc.encode(nil), 0).Err(); err != nil {
		return fmt.Errorf("write an account: %w", err)
	}
	e.flow.applied(1)
	return nil
}

// many has the effects of a batch of events, in their order: one MGET and one MSET, however many there are. What also adds
// happens in one transaction with the effects.
func (e *effects) many(ctx context.Context, batch []event, also func(redis.Pipeliner)) error {
	if err := e.load(ctx, batch); err != nil {
		return err
	}
	for _, ev := range batch {
		e.accounts[e.place[ev.key]].apply(ev.payload)
	}
	e.sets = e.sets[:0]
	for i, name := range e.names {
		e.sets = append(e.sets, name, e.accounts[i].encode(nil))
	}
	if err := e.store(ctx, also); err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	e.flow.applied(len(batch))
	return nil
}

func (e *effects) load(ctx context.Context, batch []event) error {
	clear(e.place)
	e.names, e.accounts = e.names[:0], e.accounts[:0]
	for _, ev := range batch {
		if _, known := e.place[ev.key]; !known {
			e.place[ev.key] = len(e.names)
			e.names = append(e.names, accountKey(ev.key))
		}
	}
	var err error
	e.accounts, err = readAccounts(ctx, e.rdb, e.names, e.accounts)
	return err
}

func (e *effects) store(ctx context.Context, also func(redis.Pipeliner)) error {
	if also == nil {
		return e.rdb.MSet(ctx, e.sets...).Err()
	}
	_, err := e.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.MSet(ctx, e.sets...)
		also(p)
		return nil
	})
	return err
}

// readAccounts appends the accounts that lie at the names.
func readAccounts(ctx context.Context, rdb redis.UniversalClient, names []string, to []account) ([]account, error) {
	stored, err := rdb.MGet(ctx, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	for _, v := range stored {
		s, _ := v.(string) // nil: no account yet
		acc, err := decodeAccount([]byte(s))
		if err != nil {
			return nil, err
		}
		to = append(to, acc)
	}
	return to, nil
}
