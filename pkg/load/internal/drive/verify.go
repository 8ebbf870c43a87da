package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
)

// verification compares the account of every key used with what was sent, and
// adds what it finds to the tally.
type verification struct {
	sys     System
	book    *expect.Book
	timeout time.Duration         // to read a page of accounts
	reached func(key string) bool // whether the key's shard has reached the log's end
	tally   *expect.Tally

	unreadable error // why no more accounts can be read
}

// run verifies page by page. A page of accounts that cannot be read within the
// timeout makes its keys unknown, and all later ones. An error means that there
// is no ledger to verify.
func (v *verification) run(ctx context.Context) error {
	page := make([]int, 0, maxAccounts)
	for key := range v.book.Len() {
		if !v.book.Used(key) {
			continue
		}
		if page = append(page, key); len(page) == maxAccounts {
			if err := v.check(ctx, page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return v.check(ctx, page)
}

// check verifies a page of keys.
func (v *verification) check(ctx context.Context, page []int) error {
	if len(page) == 0 {
		return nil
	}
	names := make([]string, len(page))
	for i, key := range page {
		names[i] = v.book.Name(key)
	}
	var accounts []Account
	if v.unreadable == nil {
		accounts, v.unreadable = v.read(ctx, names)
	}
	for i, key := range page {
		switch {
		case v.unreadable != nil:
			v.tally.AddUnread(names[i], v.unreadable.Error())
		case errors.Is(accounts[i].Err, ErrNoLedger):
			return fmt.Errorf("the state of key %s is %w: load verifies the ledger handler only (keep balance, events and digest in your state)",
				names[i], ErrNoLedger)
		case accounts[i].Err != nil:
			v.tally.AddUnread(names[i], accounts[i].Err.Error())
		default:
			v.tally.Add(names[i], accounts[i].Account, v.judge(key, names[i], accounts[i].Account))
		}
	}
	return nil
}

func (v *verification) judge(key int, name string, got expect.Account) expect.Finding {
	if v.reached(name) {
		return v.book.Check(key, got)
	}
	return v.book.CheckUnfinished(key, got)
}

func (v *verification) read(ctx context.Context, names []string) ([]Account, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	var accounts []Account
	err := retry(ctx, func(ctx context.Context) (err error) {
		accounts, err = v.sys.Accounts(ctx, names)
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
