package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// requireNotStored requires that an error says that its event is not stored, and nothing else.
func requireNotStored(t *testing.T, err, is error) {
	t.Helper()
	require.ErrorIs(t, err, ErrNotStored)
	require.ErrorIs(t, err, is)
	require.NotErrorIs(t, err, ErrUnknown)
	require.NotErrorIs(t, err, ErrPending)
}

func requireUnknown(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, ErrUnknown)
	require.NotErrorIs(t, err, ErrNotStored)
	require.NotErrorIs(t, err, ErrPending)
}

// Every error of an event tells whether it may be stored, and a refusal also which one it is.
func TestErrorsTellWhetherTheEventIsStored(t *testing.T) {
	background := context.Background()
	srv := testkit.NATS(t)

	t.Run("refused by the publisher", func(t *testing.T) {
		fresh, err := New(srv.Connect(t), Config{App: "nobody"})
		require.NoError(t, err)
		requireNotStored(t, fresh.Send(background, "k", nil), ErrNotStarted)
		p := startPublisher(t, srv.Connect(t), Config{App: "nobody", MaxEvents: 1})
		for _, c := range []struct {
			ev Event
			is error
		}{
			{Event{}, ErrNoKey},
			{Event{Key: strings.Repeat("k", 513)}, ErrKeyTooLong},
			{Event{Key: "\xff"}, ErrKeyNotUTF8},
			{Event{Key: "k", Data: make([]byte, 512<<10)}, ErrEventTooLarge},
		} {
			_, err := p.Publish(background, c.ev)
			requireNotStored(t, err, c.is)
			requireNotStored(t, p.SendEvent(background, c.ev), c.is)
		}
		_, err = p.SendAsync("k", nil)
		require.NoError(t, err)
		_, err = p.SendAsync("k", nil)
		requireNotStored(t, err, ErrFull)
		require.ErrorIs(t, p.Stop(cancelled()), context.Canceled)
		requireNotStored(t, p.Send(background, "k", nil), ErrClosed)
	})
	t.Run("refused by a router", func(t *testing.T) {
		r := startRouter(t, srv.Connect(t))
		p := startPublisher(t, srv.Connect(t), Config{})
		for code, is := range map[frame.Code]error{
			frame.Malformed: ErrRefused, frame.NoKey: ErrNoKey, frame.KeyTooLong: ErrKeyTooLong, frame.EventTooLarge: ErrEventTooLarge,
			frame.SessionTooOld: ErrSessionTooOld, 99: ErrRefused,
		} {
			h, err := p.SendAsync("k", nil)
			require.NoError(t, err)
			require.Equal(t, ErrPending, h.Err())
			require.NotErrorIs(t, h.Err(), ErrNotStored)
			require.NotErrorIs(t, h.Err(), ErrUnknown)
			r.answer(t, <-r.got, frame.Answer{Code: code, Reason: "so it is"})
			requireNotStored(t, h.Wait(background), is)
			require.ErrorContains(t, h.Err(), "so it is")
		}
		h, err := p.SendAsync("k", nil)
		require.NoError(t, err)
		<-r.got
		r.answer(t, <-r.got, frame.Answer{Code: frame.SessionTooOld})
		requireUnknown(t, h.Wait(background)) // the first attempt may be stored
	})
	t.Run("given up", func(t *testing.T) {
		r := startRouter(t, srv.Connect(t))
		p := startPublisher(t, srv.Connect(t), Config{DeliveryTimeout: time.Second})
		h, err := p.SendAsync("k", nil)
		require.NoError(t, err)
		<-r.got
		requireUnknown(t, h.Wait(background))
		require.NoError(t, r.sub.Unsubscribe())
		require.NoError(t, r.nc.Flush())
		requireNotStored(t, p.Send(background, "other", nil), ErrNotSent) // no router listened at any time
	})
	t.Run("the publisher stops", func(t *testing.T) {
		r := startRouter(t, srv.Connect(t))
		p := startPublisher(t, srv.Connect(t), Config{})
		flying, err := p.SendAsync("k", nil)
		require.NoError(t, err)
		<-r.got
		waiting, err := p.SendAsync("k", nil)
		require.NoError(t, err)
		require.ErrorIs(t, p.Stop(cancelled()), context.Canceled)
		requireUnknown(t, flying.Err())
		requireNotStored(t, waiting.Err(), ErrClosed)
	})
}

// An event whose context ends before it has left never leaves; of one that has left the outcome is unknown.
func TestContextThatEnds(t *testing.T) {
	for name, send := range map[string]func(context.Context, *Publisher, Event) error{
		"Send": func(ctx context.Context, p *Publisher, ev Event) error { return p.SendEvent(ctx, ev) },
		"Publish": func(ctx context.Context, p *Publisher, ev Event) error {
			h, err := p.Publish(ctx, ev)
			if err != nil {
				return err
			}
			return h.Wait(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			background := context.Background()
			srv := testkit.NATS(t)
			r := startRouter(t, srv.Connect(t))
			resolved := make(chan uint64, 10)
			p := startPublisher(t, srv.Connect(t), Config{MaxEvents: 3, OnResolve: func(h *Handle) { resolved <- h.Tag }})
			later := func(ctx context.Context, ev Event) <-chan error {
				out := make(chan error, 1)
				go func() { out <- send(ctx, p, ev) }()
				return out
			}

			err := send(cancelled(), p, Event{Key: "k", Tag: 1})
			requireNotStored(t, err, context.Canceled)
			require.Zero(t, p.w.Outstanding(), "it was not taken at all")

			first, endFirst := context.WithCancel(background)
			flying := later(first, Event{Key: "k", Tag: 2})
			f := <-r.got
			require.Equal(t, uint64(1), f.Events[0].Seq)
			ctx, end := context.WithCancelCause(background)
			queued := later(ctx, Event{Key: "k", Data: []byte("withdrawn"), Tag: 3})
			require.Eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.w.Outstanding() == 2 }, 10*time.Second, time.Millisecond)
			last := later(background, Event{Key: "k", Data: []byte("last"), Tag: 4})
			require.Eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.w.Outstanding() == 3 }, 10*time.Second, time.Millisecond)

			end(fmt.Errorf("another event failed: %w", ErrUnknown))
			err = <-queued
			requireNotStored(t, err, ErrNotSent)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "another event failed")
			require.Equal(t, uint64(3), <-resolved)
			_, err = p.SendAsync("other", nil)
			require.NoError(t, err, "its room is free")

			endFirst()
			err = <-flying
			requireUnknown(t, err)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, uint64(2), <-resolved)
			r.answer(t, f, stored)

			var came []string
			for len(came) < 2 {
				f := <-r.got
				for _, e := range f.Events {
					if e.Seq > 1 {
						came = append(came, string(e.Key)+" "+string(e.Data))
					}
				}
				r.answer(t, f, stored)
			}
			require.ElementsMatch(t, []string{"k last", "other "}, came)
			require.NoError(t, <-last)
			require.NoError(t, p.Flush(background))
			require.ElementsMatch(t, []uint64{4, 0}, []uint64{<-resolved, <-resolved})
			require.Empty(t, resolved, "each is told once")
		})
	}
}

// A wait that ends changes nothing for the event.
func TestWaitThatEnds(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("k", nil)
	require.NoError(t, err)
	err = h.Wait(cancelled())
	require.ErrorIs(t, err, ErrPending)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNotStored)
	require.NotErrorIs(t, err, ErrUnknown)
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(context.Background()))
	require.NoError(t, h.Wait(cancelled()), "the outcome is known")
}

// Callers with deadlines far too short, on few keys and a small window: what an error says of an event is true, and what is
// stored of a key is in the order sent.
func TestDeadlinesAreToldTheTruth(t *testing.T) {
	const callers, each, keys = 64, 40, 8
	srv := testkit.NATS(t)
	var mu sync.Mutex
	log, seen := make(map[string][]string), make(map[uint64]bool)
	n := 0
	nc := srv.Connect(t)
	_, err := nc.Subscribe(takesFrames, func(m *nats.Msg) {
		if asksWhoIsThere(t, m) {
			return
		}
		var f frame.Frame
		if err := f.Decode(m.Data); err != nil {
			t.Errorf("bad frame: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if n++; n%11 == 0 {
			return // lost
		}
		for _, e := range f.Events {
			if !seen[e.Seq] {
				seen[e.Seq] = true
				log[string(e.Key)] = append(log[string(e.Key)], string(e.Data))
			}
		}
		if n%7 > 0 { // else the answer is lost
			answerAsRouter(t, m, stored)
		}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	p := startPublisher(t, srv.Connect(t), Config{MaxEvents: callers / 2})

	var callersDone sync.WaitGroup
	outcomes := make(map[string]error)
	for c := range callers {
		callersDone.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(c*each+i)%40)*5*time.Millisecond)
				data := fmt.Sprintf("%d %d", c, i)
				err := p.Send(ctx, fmt.Sprint("key-", c%keys), []byte(data))
				cancel()
				mu.Lock()
				outcomes[data] = err
				mu.Unlock()
			}
		})
	}
	callersDone.Wait()
	require.NoError(t, p.Flush(context.Background()))
	mu.Lock()
	defer mu.Unlock()
	in := make(map[string]bool)
	for _, events := range log {
		last := make(map[int]int)
		for _, data := range events {
			var c, i int
			_, err := fmt.Sscan(data, &c, &i)
			require.NoError(t, err)
			require.GreaterOrEqual(t, i, last[c], "caller %d: out of order", c)
			last[c] = i
			in[data] = true
		}
	}
	count := make(map[string]int)
	for data, err := range outcomes {
		switch {
		case err == nil:
			count["stored"]++
			require.True(t, in[data], "event %s was acknowledged", data)
		case errors.Is(err, ErrNotStored):
			count["not stored"]++
			requireNotStored(t, err, context.DeadlineExceeded)
			require.False(t, in[data], "event %s: %v", data, err)
		default:
			count["unknown"]++
			requireUnknown(t, err)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
	}
	t.Log(count)
	require.Len(t, count, 3)
}

// While no router listens, or there is no connection, a context that ends withdraws its event, and the others go on.
func TestContextThatEndsWhileNobodyTakesAnything(t *testing.T) {
	for name, down := range map[string]bool{"no router": false, "no connection": true} {
		t.Run(name, func(t *testing.T) {
			srv := testkit.NATS(t)
			opts := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectBufSize(-1)}
			nc := srv.Connect(t, opts...)
			receipts := make(chan uint64, 10)
			p := startPublisher(t, nc, Config{OnReceipt: func(tag uint64) { receipts <- tag }})
			if down {
				srv.Stop()
				require.Eventually(t, func() bool { return nc.Status() != nats.CONNECTED }, 10*time.Second, time.Millisecond)
			}
			publish := func(ctx context.Context, key, data string) *Handle {
				h, err := p.Publish(ctx, Event{Key: key, Data: []byte(data), Receipt: true})
				require.NoError(t, err)
				require.Eventually(t, func() bool { // in a frame of its own, or with the ones before
					p.mu.Lock()
					defer p.mu.Unlock()
					f := p.w.FrameOf(&h.event)
					return f != nil && !f.MayBeStored()
				}, 10*time.Second, time.Millisecond)
				return h
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			first := publish(ctx, "first", "1")
			kept := publish(context.Background(), "kept", "2")
			cancel()
			<-first.Done()
			requireNotStored(t, first.Err(), context.Canceled)
			require.Zero(t, first.Seq())

			deadline, end := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer end()
			again := p.Send(deadline, "first", []byte("3"))
			require.ErrorIs(t, again, context.DeadlineExceeded)
			next, err := p.SendAsync("first", []byte("4"))
			require.NoError(t, err)
			if down {
				srv.Start(t)
			}
			r := startRouter(t, srv.Connect(t, opts...))
			var came []string
			for kept.Err() != nil || next.Err() != nil {
				select {
				case f := <-r.got:
					for _, e := range f.Events {
						came = append(came, string(e.Data))
					}
					r.answer(t, f, stored)
				case <-time.After(time.Millisecond):
				}
			}
			require.NotContains(t, came, "1")
			if errors.Is(again, ErrNotStored) { // else it was just then on its way
				require.NotContains(t, came, "3")
			}
			require.Contains(t, came, "2")
			require.Contains(t, came, "4")
			require.NoError(t, p.Flush(context.Background()))
		})
	}
}
