package load

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/services/producer/internal/expect"
)

// verify compares the account of every key used with what was sent, and adds
// what it finds to the tally. A page of accounts that cannot be read within the
// timeout makes its keys unknown, and all later ones.
func verify(ctx context.Context, sys System, book *expect.Book, timeout time.Duration, tally *expect.Tally) {
	var unreadable error
	page := make([]int, 0, maxAccounts)
	names := make([]string, 0, maxAccounts)
	check := func() {
		var accounts []Account
		if unreadable == nil && len(page) > 0 {
			accounts, unreadable = read(ctx, sys, names, timeout)
		}
		for i, key := range page {
			switch {
			case unreadable != nil:
				tally.AddUnread(names[i], unreadable.Error())
			case accounts[i].Err != nil:
				tally.AddUnread(names[i], accounts[i].Err.Error())
			default:
				tally.Add(names[i], accounts[i].Account, book.Check(key, accounts[i].Account))
			}
		}
		page, names = page[:0], names[:0]
	}
	for key := range book.Len() {
		if !book.Used(key) {
			continue
		}
		page, names = append(page, key), append(names, book.Name(key))
		if len(page) == maxAccounts {
			check()
		}
	}
	check()
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
