package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// fill sends events of so many bytes, over some keys, until the publisher is full.
func fill(t *testing.T, p *Publisher, size int) []*Handle {
	t.Helper()
	var handles []*Handle
	for i := 0; ; i++ {
		h, err := p.SendAsync(fmt.Sprint("key-", i%100), make([]byte, size))
		if errors.Is(err, ErrFull) {
			return handles
		}
		require.NoError(t, err)
		require.Less(t, len(handles), 100_000, "never full")
		handles = append(handles, h)
	}
}

// While NATS takes nothing the publisher fills to its bounds and says so. Then all is sent, in order by key.
func TestStalledNATSFillsThePublisher(t *testing.T) {
	for name, c := range map[string]struct {
		cfg        Config
		size, most int
	}{
		"by count": {Config{MaxEvents: 500}, 10, 500},
		"by bytes": {Config{MaxBytes: 1 << 20}, 10_000, (1 << 20) / 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			srv := testkit.NATS(t)
			r := startRouter(t, srv.Connect(t))
			link := srv.Link(t)
			p := startPublisher(t, srv.ConnectOver(t, link), c.cfg)
			require.NoError(t, p.nc.Flush())
			link.Stall()
			handles := fill(t, p, c.size)
			require.LessOrEqual(t, len(handles), c.most)
			require.Greater(t, len(handles), c.most-10)
			p.mu.Lock()
			require.Equal(t, len(handles), p.w.Outstanding())
			p.mu.Unlock()

			link.Resume()
			seen, last := make(map[uint64]bool), make(map[string]uint64)
			for len(seen) < len(handles) {
				f := <-r.got
				for _, e := range f.Events {
					if !seen[e.Seq] {
						seen[e.Seq] = true
						require.Greater(t, e.Seq, last[string(e.Key)])
						last[string(e.Key)] = e.Seq
					}
				}
				r.answer(t, f, stored)
			}
			require.NoError(t, p.Flush(context.Background()))
			for _, h := range handles {
				require.NoError(t, h.Err())
			}
		})
	}
}

// Events are given up in time even when a stalled connection holds the publisher up in a write.
func TestStalledNATSAndTheDeliveryTimeout(t *testing.T) {
	srv := testkit.NATS(t)
	link := srv.Link(t)
	p := startPublisher(t, srv.ConnectOver(t, link), Config{DeliveryTimeout: time.Second})
	require.NoError(t, p.nc.Flush())
	link.Stall()
	defer link.Resume()
	handles := fill(t, p, 100_000) // more than the kernel's buffers take
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	left, kept := 0, 0
	for _, h := range handles {
		switch err := h.Wait(ctx); {
		case errors.Is(err, ErrUnknown):
			left++
		case errors.Is(err, ErrNotSent):
			kept++
		default:
			require.NoError(t, err)
			require.Fail(t, "stored where nobody listens")
		}
	}
	require.NotZero(t, left, "these may be stored")
	require.NotZero(t, kept, "these are not")
	_, err := p.SendAsync("key", nil)
	require.NoError(t, err, "there is room again")
}

// What the application has not heard of yet is bounded too.
func TestSlowOnResolveFillsThePublisher(t *testing.T) {
	const most = 20
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	held, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	resolved := make(chan uint64, 3*most)
	p := startPublisher(t, srv.Connect(t), Config{MaxEvents: most, DeliveryTimeout: time.Second, OnResolve: func(h *Handle) {
		if h.Tag == 1 {
			close(held)
			<-goOn
		}
		resolved <- h.Tag
	}})
	t.Cleanup(release) // before the publisher is stopped
	_, err := p.Publish(context.Background(), Event{Key: "first", Tag: 1})
	require.NoError(t, err)
	r.answer(t, <-r.got, stored)
	<-held // where answers are taken: those that follow are given up

	var handles []*Handle
	for tag := uint64(2); tag < 2+most; tag++ {
		h, err := p.Publish(context.Background(), Event{Key: fmt.Sprint(tag), Tag: tag})
		require.NoError(t, err)
		handles = append(handles, h)
	}
	for _, h := range handles {
		require.Error(t, h.Wait(context.Background()))
	}
	_, err = p.Publish(context.Background(), Event{Key: "more"})
	require.ErrorIs(t, err, ErrFull, "nothing is outstanding, but nobody knows")
	release()
	require.NoError(t, p.WaitRoom(context.Background()))
	require.NoError(t, p.Flush(context.Background()))
	require.Len(t, resolved, 1+most)
	_, err = p.Publish(context.Background(), Event{Key: "more"})
	require.NoError(t, err)
}
