package drive

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
)

// listPoll is how often the lists of keys are looked at while they are waited for.
const listPoll = 100 * time.Millisecond

// unsettled tells whether a key is left whose list is still tried again, rather than parked.
func (v *verification) unsettled() bool {
	for _, key := range v.listed {
		if !v.last[key].Parked {
			return true
		}
	}
	return false
}

// await looks at the keys that have a list until none is left for which hold is true, or ctx ends. Keys whose list has gone are
// judged at once.
func (v *verification) await(ctx context.Context, hold func(expect.State) bool) {
	for ctx.Err() == nil && v.unreadable == nil {
		left := v.listed
		v.listed = nil
		waits := false
		for from := 0; from < len(left); from += maxStored {
			page := left[from:min(from+maxStored, len(left))]
			states, err := v.read(ctx, v.names(page))
			if err != nil { // they are read again in the end, which tells
				v.listed, waits = append(v.listed, page...), true
				continue
			}
			for i, key := range page {
				v.judge(ctx, key, v.book.Name(key), states[i])
				waits = waits || states[i].SetAside > 0 && hold(states[i].State)
			}
		}
		if !waits || !sleep(ctx, listPoll) {
			return
		}
	}
}

// close judges the keys that still have a list as they are now, with the events in it.
func (v *verification) close(ctx context.Context) {
	left := v.listed
	v.listed = nil
	v.closing = true
	for from := 0; from < len(left); from += maxStored {
		v.check(ctx, left[from:min(from+maxStored, len(left))])
	}
}

// compare reads the lists of the parked keys and compares the events in them with those sent. It returns how many lists are right.
func (v *verification) compare(ctx context.Context) (right int) {
	for _, key := range v.listed {
		got := v.last[key]
		if name := v.book.Name(key); got.Parked && v.reached(name) {
			if f, err := v.checkList(ctx, key, name, got); err != nil {
				v.tally.AddUnread(name, err.Error())
			} else if f.Kind == expect.SetAside || f.Kind == expect.Dropped {
				right++
			} else {
				v.tally.Violate(fmt.Sprintf("%s: key %s: %s", f.Kind, name, f.Detail))
			}
		}
	}
	return right
}

// checkList judges a key with what its list holds.
func (v *verification) checkList(ctx context.Context, key int, name string, got expect.State) (expect.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	return v.book.CheckList(key, got, func(take func([]byte) error) error { return v.sys.Waiting(ctx, name, take) })
}

// settleLists waits until no list is tried again any more: the keys that have one then are parked. While it waits, receipts come.
func (l *Load) settleLists(ctx, sending context.Context, v *verification) {
	if !v.unsettled() {
		return
	}
	waiting, enough := l.waiting(ctx, sending)
	defer enough()
	l.view.Say(fmt.Sprintf("waiting until the events of %d keys that failed are tried again", len(v.listed)))
	waiting, end := context.WithTimeout(waiting, l.cfg.DrainTimeout)
	defer end()
	v.await(waiting, func(s expect.State) bool { return !s.Parked })
	awaitReceipts(waiting, l.traffic, l.receiptGrace)
}

// awaitOperator waits until the parked keys have been worked off, if the load was told to.
func (l *Load) awaitOperator(ctx, sending context.Context, v *verification) {
	if l.cfg.WaitParked == 0 || len(v.listed) == 0 {
		return
	}
	right := v.compare(ctx)
	l.view.Say(fmt.Sprintf("%d keys have a list, and %d of these lists are parked, complete and in order: waiting for an operator, at most %s",
		len(v.listed), right, l.cfg.WaitParked))
	waiting, enough := l.waiting(ctx, sending)
	defer enough()
	waiting, end := context.WithTimeout(waiting, l.cfg.WaitParked)
	defer end()
	v.await(waiting, func(expect.State) bool { return true })
}

// waiting returns a context for a wait that ends when sending ends, unless it had ended before.
func (l *Load) waiting(ctx, sending context.Context) (context.Context, func()) {
	waiting, enough := context.WithCancel(ctx)
	if sending.Err() != nil {
		return waiting, enough
	}
	release := context.AfterFunc(sending, func() {
		l.view.Say("interrupted: waiting no longer, verifying what is applied")
		enough()
	})
	return waiting, func() { release(); enough() }
}
