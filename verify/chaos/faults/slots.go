package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/pkg/testkit/redisnodes"
)

// planMove draws a shard, and another master for its slot.
func (r *run) planMove(ctx context.Context, s Step) (what string, move *redisnodes.Move, err error) {
	epoch, err := r.stack.Epoch(ctx)
	if err != nil {
		return "", nil, err
	}
	draw := r.draw(s)
	shard := draw.IntN(epoch.Shards)
	tag := fmt.Sprintf("{%s:%d}", r.stack.File().App, shard)
	move, err = redisnodes.NewMove(ctx, r.stack.RedisNodes()[0].Addr, tag, func(others []redisnodes.Master) redisnodes.Master {
		slices.SortFunc(others, func(a, b redisnodes.Master) int { return strings.Compare(r.nameOf(a.Addr), r.nameOf(b.Addr)) })
		return others[draw.IntN(len(others))]
	})
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("the slot of shard %d moves from %s to %s", shard, r.nameOf(move.From.Addr), r.nameOf(move.To.Addr)), move, nil
}

// moveSlot moves the slot of a shard to another master of the cluster, as an operator does: for a part of the fault's length it
// is only announced, then its keys go one by one.
func (r *run) moveSlot(s Step) fault {
	var move *redisnodes.Move
	return fault{
		inject: func(ctx context.Context) (what string, err error) {
			if what, move, err = r.planMove(ctx, s); err != nil {
				return "", err
			}
			return what, move.Begin(ctx)
		},
		during: func(ctx context.Context) { migrate(ctx, move, r.draw(s), s.For) },
		mend: func() error {
			if move == nil {
				return nil
			}
			ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
			defer cancel()
			return move.End(ctx)
		},
	}
}

// migrate moves a slot's keys in a drawn order. The move begins after a quarter of its length, and ends after three quarters.
func migrate(ctx context.Context, move *redisnodes.Move, draw *rand.Rand, length time.Duration) {
	if !sleep(ctx, length/4) {
		return
	}
	keys, err := move.Keys(ctx)
	draw.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		if err != nil || !sleep(ctx, length/2/time.Duration(len(keys))) {
			return // the end of the move tries again, and says what is wrong
		}
		err = move.Migrate(ctx, key)
	}
}

// tearSlot kills a master while a slot moves, so that what is left of the slot does not fit together.
func (r *run) tearSlot(s Step) fault {
	d := &death{run: r}
	var move *redisnodes.Move
	inject := r.loseBuckets
	if s.Victim == theSource {
		inject = r.loseRecord
	}
	return fault{
		inject: func(ctx context.Context) (what string, err error) {
			if what, move, err = r.planMove(ctx, s); err != nil {
				return "", err
			}
			lost, err := inject(ctx, move, d)
			return what + lost, err
		},
		mend: func() error {
			err := d.mend()
			if move == nil || d.was != nil && s.Victim == theTarget {
				return err // the move has ended
			}
			ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
			defer cancel()
			if d.was == nil {
				return errors.Join(err, move.End(ctx))
			}
			return errors.Join(err, move.Abandon(ctx))
		},
		recovered: d.recovered,
	}
}

// loseBuckets moves a slot to a master whose replica receives the record and half of the other keys before it is cut off. Then
// the master dies, and the replica serves what it has.
func (r *run) loseBuckets(ctx context.Context, move *redisnodes.Move, d *death) (what string, err error) {
	if err := d.chooses(ctx, move.To.Addr); err != nil {
		return "", err
	}
	first, all, err := recordAnd(ctx, move, func(n int) int { return n / 2 })
	if err != nil {
		return "", err
	}
	for _, step := range []func() error{
		func() error { return move.Begin(ctx) },
		func() error { return move.Migrate(ctx, first...) },
		func() error { return move.AwaitCopied(ctx, d.pair.Replica, move.From, int64(len(first))) },
		func() error { return d.pair.Cut(ctx) },
		func() error { return move.End(ctx) },
		func() error { return move.AwaitCopied(ctx, d.pair.Replica, move.To, int64(len(first))) },
		func() error { return d.kill(ctx) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(", which dies; %s takes over with %d of its %d keys", r.nameOf(d.pair.Replica), len(first), all), nil
}

// loseRecord moves a slot's record alone. Then the source dies, and its replica serves the slot without the record.
func (r *run) loseRecord(ctx context.Context, move *redisnodes.Move, d *death) (what string, err error) {
	if err := d.chooses(ctx, move.From.Addr); err != nil {
		return "", err
	}
	record, all, err := recordAnd(ctx, move, func(int) int { return 0 })
	if err != nil {
		return "", err
	}
	for _, step := range []func() error{
		func() error { return move.Begin(ctx) },
		func() error { return move.Migrate(ctx, record...) },
		func() error { return move.AwaitCopied(ctx, d.pair.Replica, move.From, int64(all-len(record))) },
		func() error { return d.kill(ctx) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(", and the first dies; %s takes over without the record", r.nameOf(d.pair.Replica)), nil
}

// recordAnd lists a slot's record and some of its other keys; it returns how many keys there are.
func recordAnd(ctx context.Context, move *redisnodes.Move, more func(others int) int) (keys []string, all int, err error) {
	there, err := move.Keys(ctx)
	if err != nil {
		return nil, 0, err
	}
	record := slices.IndexFunc(there, func(key string) bool { return strings.HasSuffix(key, ":record") })
	if record < 0 {
		return nil, 0, fmt.Errorf("slot %d has no record", move.Slot)
	}
	keys = append(keys, there[record])
	others := slices.Delete(slices.Clone(there), record, record+1)
	return append(keys, others[:more(len(others))]...), len(there), nil
}
