package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/services/producer/internal/expect"
)

// verify compares the account of every key used with what was sent, and adds
// what it finds to the tally. A page of accounts that cannot be read within the
// timeout makes its keys unknown, and all later ones. An error means that there
// is no ledger to verify.
func verify(ctx context.Context, sys System, book *expect.Book, timeout time.Duration, tally *expect.Tally) error {
	var unreadable error
	page := make([]int, 0, maxAccounts)
	names := make([]string, 0, maxAccounts)
	check := func() error {
		var accounts []Account
		if unreadable == nil && len(page) > 0 {
			accounts, unreadable = read(ctx, sys, names, timeout)
		}
		for i, key := range page {
			switch {
			case unreadable != nil:
				tally.AddUnread(names[i], unreadable.Error())
			case errors.Is(accounts[i].Err, ErrNoLedger):
				return fmt.Errorf("the state of key %s is %w: load verifies the ledger handler only (keep balance, events and digest in your state)",
					names[i], ErrNoLedger)
			case accounts[i].Err != nil:
				tally.AddUnread(names[i], accounts[i].Err.Error())
			default:
				tally.Add(names[i], accounts[i].Account, book.Check(key, accounts[i].Account))
			}
		}
		page, names = page[:0], names[:0]
		return nil
	}
	for key := range book.Len() {
		if !book.Used(key) {
			continue
		}
		page, names = append(page, key), append(names, book.Name(key))
		if len(page) == maxAccounts {
			if err := check(); err != nil {
				return err
			}
		}
	}
	return check()
}

func read(ctx context.Context, sys System, names []string, timeout time.Duration) ([]Account, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var accounts []Account
	err := retry(ctx, func(ctx context.Context) (err error) {
		accounts, err = sys.Accounts(ctx, names)
		if err == nil && len(accounts) != len(names) {
			err = fmt.Errorf("%d answers for %d keys", len(accounts), len(names))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the account could not be read: %w", err)
	}
	return accounts, nil
}
