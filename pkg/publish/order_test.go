package publish

import (
	"context"
	"errors"
	"sync"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Many senders, many keys, a router that loses, refuses and repeats: each key's events arrive in order but for repeats, and
// OnResolve tells of every event once, for each key in the order sent.
func TestOrderOfAKeySurvivesABadRouter(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	nc := srv.Connect(t)
	log := map[string][]uint64{} // seqs as stored, by key
	var mu sync.Mutex
	n := 0
	_, err := nc.Subscribe(takesFrames, func(m *nats.Msg) {
		if asksWhoIsThere(t, m) {
			return
		}
		var f frame.Frame
		if err := f.Decode(m.Data); err != nil {
			t.Errorf("bad frame: %v", err)
		}
		n++
		if n%7 == 0 {
			return // lost
		}
		if n%5 == 0 {
			answerAsRouter(t, m, frame.Answer{Code: frame.Busy, Retry: true})
			return
		}
		mu.Lock()
		for i := range f.Events {
			k := string(f.Events[i].Key)
			log[k] = append(log[k], f.Events[i].Seq)
		}
		mu.Unlock()
		if n%11 != 0 { // stored, but the answer is lost
			answerAsRouter(t, m, stored)
		}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	resolved := map[string][]uint64{}
	var p *Publisher
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	p = startPublisher(t, srv.Connect(t), Config{MaxEvents: 64, OnResolve: func(h *Handle) {
		if h.Err() != nil {
			t.Errorf("event %d: %v", h.Tag, h.Err())
		}
		k := keys[h.Tag%uint64(len(keys))]
		resolved[k] = append(resolved[k], h.Tag)
	}})
	const each = 300
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range each {
				for {
					_, err := p.Publish(context.Background(), Event{Key: keys[k], Tag: uint64(i*len(keys) + k)})
					if err == nil {
						break
					}
					if !errors.Is(err, ErrFull) || p.WaitRoom(ctx) != nil {
						t.Errorf("publish: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, p.Flush(ctx))
	mu.Lock()
	defer mu.Unlock()
	for _, k := range keys {
		require.Len(t, resolved[k], each)
		require.IsIncreasing(t, resolved[k])
		first := []uint64{} // without the repeats
		last := uint64(0)
		for _, seq := range log[k] {
			if seq > last {
				first = append(first, seq)
				last = seq
			}
		}
		require.Len(t, first, each)
	}
}
