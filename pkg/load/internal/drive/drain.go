package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/measure"
)

const (
	poll        = 10 * time.Millisecond
	callTimeout = 5 * time.Second
	flushGrace  = 10 * time.Second
)

// errShort says that some shards are short of the log's end.
var errShort = errors.New("some shards are short of the log's end")

// drained waits until every shard's position has reached the log's end as it is
// now, and returns the shards whose position has not when the timeout is over. An
// error says that this cannot be told.
func drained(ctx context.Context, sys System, timeout time.Duration) (short []measure.Short, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var l Layout
	var ends []uint64
	err = retry(ctx, func(ctx context.Context) (err error) {
		if l, err = sys.Layout(ctx); err != nil {
			return err
		}
		ends, err = sys.Ends(ctx, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the log's end could not be read: %w", err)
	}
	err = retry(ctx, func(ctx context.Context) error {
		positions, err := sys.Positions(ctx)
		if err != nil {
			return err
		}
		if short, err = shortShards(l, ends, positions); err == nil && len(short) > 0 {
			err = errShort
		}
		return err
	})
	switch {
	case errors.Is(err, errShort):
		return short, nil
	case err != nil:
		return nil, fmt.Errorf("the shards' positions could not be read for %s: %w", timeout, err)
	}
	return nil, nil
}

// shortShards returns the shards whose position is short of the end.
func shortShards(l Layout, ends []uint64, positions []Position) (short []measure.Short, err error) {
	if len(ends) != l.Shards {
		return nil, fmt.Errorf("%d ends of %d shards", len(ends), l.Shards)
	}
	at := make([]Position, l.Shards)
	for _, p := range positions {
		if p.Shard >= 0 && p.Shard < l.Shards {
			at[p.Shard] = p
		}
	}
	for shard, p := range at {
		switch {
		case ends[shard] == 0 || p.Epoch > l.Epoch || p.Epoch == l.Epoch && p.Seq >= ends[shard]:
			continue
		case p.Epoch < l.Epoch: // it has committed nothing of this epoch
			p.Seq = 0
		}
		short = append(short, measure.Short{Shard: shard, Seq: p.Seq, End: ends[shard]})
	}
	return short, nil
}

// explain adds why the shards do not go on, as far as their owners say.
func explain(ctx context.Context, sys System, short []measure.Short) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	states, err := sys.States(ctx)
	for i := range short {
		state, owned := states[short[i].Shard]
		switch {
		case err != nil:
			short[i].Why = "its owner could not be asked: " + err.Error()
		case !owned:
			short[i].Why = "no worker that answers owns it"
		default:
			short[i].Why = state
		}
	}
}

// awaitReceipts waits for receipts until none is missing, or none has come for a while.
func awaitReceipts(ctx context.Context, t *traffic, grace time.Duration) {
	last, changedAt := int64(-1), time.Now()
	for ctx.Err() == nil {
		missing, came := t.outstanding()
		if missing <= 0 {
			return
		}
		if came != last {
			last, changedAt = came, time.Now()
		} else if time.Since(changedAt) > grace {
			return
		}
		time.Sleep(poll)
	}
}

// retryFor is retry with a time limit.
func retryFor(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return retry(ctx, f)
}

// retry calls f until it succeeds or ctx ends, and returns its last error.
func retry(ctx context.Context, f func(context.Context) error) error {
	var last error
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		err := f(call)
		cancel()
		if err == nil {
			return nil
		}
		// When ctx ends, what went wrong before tells more than that.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(poll):
		}
	}
}
