package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/expect"
)

// verification compares the proof of every key used with what was sent, has the application check its state, and adds what
// it finds to the tally.
type verification struct {
	sys     System
	book    *expect.Book
	refuse  load.Check            // may be nil
	timeout time.Duration         // to read a page of states
	reached func(key string) bool // whether the key's shard has reached the log's end
	tally   *expect.Tally

	listed  []int                // keys that have a list: judged by close, as it may go
	last    map[int]expect.State // of each of them, as it was read last
	closing bool

	unreadable error // why no more states can be read
}

// run verifies page by page. A page of states that cannot be read within the
// timeout makes its keys unknown, and all later ones.
func (v *verification) run(ctx context.Context) {
	page := make([]int, 0, maxStored)
	for key := range v.book.Len() {
		if !v.book.Used(key) {
			continue
		}
		if page = append(page, key); len(page) == maxStored {
			v.check(ctx, page)
			page = page[:0]
		}
	}
	v.check(ctx, page)
}

// check verifies a page of keys.
func (v *verification) check(ctx context.Context, page []int) {
	if len(page) == 0 {
		return
	}
	names := v.names(page)
	var states []Stored
	if v.unreadable == nil {
		states, v.unreadable = v.read(ctx, names)
	}
	for i, key := range page {
		switch {
		case v.unreadable != nil:
			v.tally.AddUnread(names[i], v.unreadable.Error())
		case states[i].Err != nil:
			v.tally.AddUnread(names[i], states[i].Err.Error())
		default:
			v.judge(ctx, key, names[i], states[i])
		}
	}
}

func (v *verification) names(page []int) []string {
	names := make([]string, len(page))
	for i, key := range page {
		names[i] = v.book.Name(key)
	}
	return names
}

// judge verifies one key. One that has a list is left for close.
func (v *verification) judge(ctx context.Context, key int, name string, got Stored) {
	if got.SetAside > 0 && !v.closing {
		if v.last == nil {
			v.last = make(map[int]expect.State)
		}
		v.listed = append(v.listed, key)
		v.last[key] = got.State
		return
	}
	if got.SetAside > 0 && got.Parked && v.reached(name) {
		f, err := v.checkList(ctx, key, name, got.State)
		switch {
		case errors.Is(err, ErrListChanged):
			f.Parked = false // an operator's command is at work
			fallthrough
		case err == nil:
			v.tally.Add(name, f)
		default:
			v.tally.AddUnread(name, err.Error())
		}
		return
	}
	if !v.reached(name) {
		v.tally.Add(name, v.book.CheckUnfinished(key, got.State))
		return
	}
	v.tally.Add(name, v.book.Check(key, got.State))
	if v.refuse == nil || !got.Found || got.SetAside > 0 {
		return
	}
	if err := v.refuse(name, got.Data); err != nil {
		v.tally.Refuse(name, err)
	}
}

func (v *verification) read(ctx context.Context, names []string) ([]Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	var states []Stored
	err := retry(ctx, func(ctx context.Context) (err error) {
		states, err = v.sys.Stored(ctx, names)
		if err == nil && len(states) != len(names) {
			err = fmt.Errorf("%d answers for %d keys", len(states), len(names))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the state could not be read: %w", err)
	}
	return states, nil
}
