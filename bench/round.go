package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxOutstanding is how many events may be sent and have no effect yet: as many as Lockstep's publisher takes.
const maxOutstanding = 32_768

// cell is one place of the matrix.
type cell struct{ shards, workers int }

// round is one turn of one peer.
type round struct {
	cell
	id       string // begins the name of everything that the round leaves on the servers
	keys     int
	size     int // of a payload, in bytes
	duration time.Duration
	servers  *servers
	flow     *flow
	book     *book
}

// result is what a round came to.
type result struct {
	perSecond float64
	tally     tally
}

// sender sends events, in the order given.
type sender interface {
	send(context.Context, event) error
	flush(context.Context) error // waits until all are stored
}

// crew is a peer at work: those who send, and those who have the effects until their context ends.
type crew struct {
	senders []sender
	workers []func(context.Context) error
	// await waits until all that was sent has its effect. By default it counts them.
	await func(context.Context) error
	// read returns the accounts of keys; nil if there are no effects.
	read func(context.Context, []string) ([]account, error)
}

// run sends for the round's duration, waits for the last effect, and checks every account.
func (r *round) run(ctx context.Context, c crew) (result, error) {
	if c.await == nil {
		c.await = r.flow.finish
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	all, alive := errgroup.WithContext(working)
	for _, work := range c.workers {
		all.Go(func() error {
			if err := work(alive); err != nil && working.Err() == nil {
				return err
			}
			return nil
		})
	}
	took, err := r.drive(alive, c)
	stop()
	if failed := all.Wait(); failed != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = failed
	}
	if err != nil {
		return result{}, err
	}
	out := result{perSecond: float64(r.flow.sent.Load()) / took.Seconds()}
	if c.read != nil {
		out.tally, err = r.book.check(ctx, c.read)
	}
	return out, err
}

// drive returns the time from the first send to the last effect.
func (r *round) drive(ctx context.Context, c crew) (time.Duration, error) {
	began := time.Now()
	all, sending := errgroup.WithContext(ctx)
	for i, s := range c.senders {
		all.Go(func() error {
			for from := r.book.source(i, len(c.senders)); time.Since(began) < r.duration; {
				if err := r.flow.admit(sending); err != nil {
					return err
				}
				if err := s.send(sending, from.next()); err != nil {
					return err
				}
			}
			return s.flush(sending)
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	err := c.await(ctx)
	return time.Since(began), err
}

// share deals n things out to the workers in turn, and returns what worker w gets.
func share(n, w, workers int) (mine []int) {
	for i := w; i < n; i += workers {
		mine = append(mine, i)
	}
	return mine
}
