package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/pick"
	"example.com/lockstep/pkg/publish"
)

// sender sends events of the keys that its picker picks. It is used by one goroutine.
type sender struct {
	publisher Publisher
	traffic   *traffic
	book      *expect.Book
	clock     clock
	receipts  pace.Sampler
	keys      pick.Picker
}

// run sends until the clock says that the load is over, and returns how many
// events it sent. An error says why it had to end before.
func (s *sender) run(ctx context.Context) (uint64, error) {
	for k := uint64(0); ; k++ {
		intended, ok := s.clock.next(ctx, k)
		if !ok {
			return k, nil
		}
		err := s.send(ctx, s.keys.Next(), s.receipts.Pick(), intended)
		if err != nil && ctx.Err() != nil {
			return k, nil
		}
		if err != nil {
			return k, err
		}
	}
}

// send sends one event as soon as the publisher has room for it.
func (s *sender) send(ctx context.Context, key int, receipt bool, intended time.Duration) error {
	made, chain, err := s.book.Next(key)
	if err != nil {
		return err
	}
	ev := publish.Event{
		Key: s.book.Name(key), Type: made.Type, Headers: made.Headers, Data: made.Payload,
		Receipt: receipt, Tag: uint64(newTag(key, receipt, intended)),
	}
	_, err = s.publisher.Publish(context.Background(), ev) // its outcome is waited for, though the load ends
	for errors.Is(err, publish.ErrFull) {
		if err := s.publisher.WaitRoom(ctx); err != nil {
			return fmt.Errorf("wait for room: %w", err)
		}
		intended = s.clock.delayed(intended)
		ev.Tag = uint64(newTag(key, receipt, intended))
		_, err = s.publisher.Publish(context.Background(), ev)
	}
	if err != nil {
		return fmt.Errorf("send event of key %s: %w", ev.Key, err)
	}
	s.book.Sent(key, chain)
	s.traffic.sentAt(intended, s.clock.lag(intended), receipt)
	return nil
}

// close sends one event to each shard that one of the keys lies on, asking for
// a receipt. Everything sent before must be resolved: so they are the last
// events of their shards, and carry the publisher's floor past all it gave up.
func (s *sender) close(ctx context.Context, l Layout) error {
	s.clock = &unpaced{elapsed: s.traffic.elapsed}
	closed := make([]bool, l.Shards)
	left := l.Shards
	for key := 0; key < s.book.Len() && left > 0; key++ {
		shard := l.ShardOf(s.book.Name(key))
		if closed[shard] {
			continue
		}
		if err := s.send(ctx, key, true, s.traffic.elapsed()); err != nil {
			return fmt.Errorf("close shard %d: %w", shard, err)
		}
		closed[shard] = true
		left--
	}
	return nil
}
