package load

import (
	"context"
	"fmt"
	"time"
)

const (
	poll        = 10 * time.Millisecond
	callTimeout = 5 * time.Second
	flushGrace  = 10 * time.Second
)

// drained waits until every shard's position has reached the log's end as it is
// now. The error says how far they got.
func drained(ctx context.Context, sys System, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var l Layout
	var ends []uint64
	err := retry(ctx, func(ctx context.Context) (err error) {
		if l, err = sys.Layout(ctx); err != nil {
			return err
		}
		ends, err = sys.Ends(ctx, l)
		return err
	})
	if err != nil {
		return fmt.Errorf("the log's end could not be read: %w", err)
	}
	err = retry(ctx, func(ctx context.Context) error {
		positions, err := sys.Positions(ctx)
		if err != nil {
			return err
		}
		return behind(l, ends, positions)
	})
	if err != nil {
		return fmt.Errorf("after %s: %w", timeout, err)
	}
	return nil
}

// behind returns an error if any position is short of its shard's end.
func behind(l Layout, ends []uint64, positions []Position) error {
	if len(ends) != l.Shards {
		return fmt.Errorf("%d ends of %d shards", len(ends), l.Shards)
	}
	at := make([]Position, l.Shards)
	for _, p := range positions {
		if p.Shard >= 0 && p.Shard < l.Shards {
			at[p.Shard] = p
		}
	}
	short, first := 0, 0
	for shard, p := range at {
		if ends[shard] == 0 || p.Epoch > l.Epoch || p.Epoch == l.Epoch && p.Seq >= ends[shard] {
			continue
		}
		if short == 0 {
			first = shard
		}
		short++
	}
	if short == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d shards are short of the log's end; shard %d stands at epoch %d sequence %d, its end is epoch %d sequence %d",
		short, l.Shards, first, at[first].Epoch, at[first].Seq, l.Epoch, ends[first])
}

// awaitReceipts waits for receipts until none is missing, or none has come for a while.
func awaitReceipts(ctx context.Context, t *traffic, grace time.Duration) {
	last, since := int64(-1), time.Now()
	for ctx.Err() == nil {
		missing, came := t.outstanding()
		if missing <= 0 {
			return
		}
		if came != last {
			last, since = came, time.Now()
		} else if time.Since(since) > grace {
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
