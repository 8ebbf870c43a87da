package publish

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/window"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testkit.Main()
	goleak.VerifyTestMain(m)
}

func startPublisher(t *testing.T, nc *nats.Conn, cfg Config) *Publisher {
	p, err := New(nc, cfg)
	require.NoError(t, err)
	require.NoError(t, p.Start(context.Background()))
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Stop(ended)
	})
	return p
}

func TestSendWaitsForTheAck(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("alice", []byte("one"))
	require.NoError(t, err)
	f := <-r.got
	require.Equal(t, p.ID(), f.Session.Publisher)
	require.Equal(t, "alice", string(f.Events[0].Key))
	require.Equal(t, "one", string(f.Events[0].Data))
	select {
	case <-h.Done():
		t.Fatal("resolved before it was acknowledged")
	default:
	}
	require.ErrorIs(t, h.Err(), ErrPending)
	r.answer(t, f, stored)
	require.NoError(t, h.Wait(ctx))
	require.Equal(t, uint64(1), h.Seq())
	require.NoError(t, p.Flush(ctx))
	go func() { r.answer(t, <-r.got, stored) }()
	require.NoError(t, p.Send(ctx, "alice", []byte("two")))
	require.NoError(t, p.Stop(ctx))
	require.NoError(t, p.Stop(ctx), "twice")
	_, err = p.SendAsync("alice", nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, p.WaitRoom(ctx), ErrClosed)
}

// An event that gathers while the pipe rests leaves, though no other one comes.
func TestEventLeavesAfterTheRest(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	send := func(key string) {
		_, err := p.SendAsync(key, nil)
		require.NoError(t, err)
	}
	for range 100 {
		send("a")
		f := <-r.got
		send("b")
		r.answer(t, f, stored)
		f = <-r.got
		require.Equal(t, "b", string(f.Events[0].Key))
		send("c")
		r.answer(t, f, stored)
		f = <-r.got
		r.answer(t, f, stored)
		require.NoError(t, p.Flush(t.Context()))
		send("d")
		f = <-r.got
		require.Equal(t, "d", string(f.Events[0].Key))
		r.answer(t, f, stored)
		require.NoError(t, p.Flush(t.Context()))
	}
}

// An event that comes while the pipe rests wakes the sender, unless it wakes in time by itself.
func TestRestWakesTheSenderOnce(t *testing.T) {
	p, err := New(testkit.NATS(t).Connect(t), Config{})
	require.NoError(t, err)
	now := time.Now()
	add := func(key string) {
		_, draft, err := p.prepare(Event{Key: key})
		require.NoError(t, err)
		p.w.Add(&window.Event{Draft: draft}, key, now)
	}
	add("a")
	add("b")
	require.True(t, p.mustWake(now))
	f := p.w.Next(now)
	require.False(t, p.mustWake(now))
	p.w.Answered(f.ID, 1, stored, now)
	p.wakesAt = now.Add(time.Hour)
	require.False(t, p.mustWake(now), "nothing waits")
	add("c")
	require.True(t, p.mustWake(now))
	p.wakesAt = p.w.NextDue(now)
	require.False(t, p.mustWake(now))
	require.True(t, p.mustWake(p.wakesAt))
}

// Until its frame is answered a key's next events wait; a frame without an answer comes again as it was.
func TestUnansweredFrameIsSentAgain(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	first, err := p.SendAsync("alice", []byte("one"))
	require.NoError(t, err)
	f := <-r.got
	second, err := p.SendAsync("alice", []byte("two"))
	require.NoError(t, err)
	again := <-r.got
	require.Equal(t, f.m.Data, again.m.Data)
	require.NotEqual(t, f.m.Reply, again.m.Reply)
	r.answer(t, f, stored) // the answer to the first copy comes late, and counts
	require.NoError(t, first.Wait(ctx))
	f = <-r.got
	require.Equal(t, uint64(2), f.Events[0].Seq)
	require.Equal(t, uint64(2), f.Floor)
	r.answer(t, f, stored)
	require.NoError(t, second.Wait(ctx))
}

func TestHardStopGivesUpTheRest(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	var resolved []uint64
	p := startPublisher(t, srv.Connect(t), Config{OnResolve: func(h *Handle) { resolved = append(resolved, h.Tag) }})
	flying, err := p.Publish(context.Background(), Event{Key: "alice", Tag: 1})
	require.NoError(t, err)
	<-r.got
	waiting, err := p.Publish(context.Background(), Event{Key: "alice", Tag: 2})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, p.Stop(ended), context.Canceled)
	require.ErrorIs(t, flying.Err(), ErrUnknown)
	require.ErrorIs(t, waiting.Err(), ErrNotSent)
	require.ErrorIs(t, waiting.Err(), ErrClosed)
	require.Equal(t, []uint64{1, 2}, resolved)
}

func TestStopBeforeStart(t *testing.T) {
	srv := testkit.NATS(t)
	p, err := New(srv.Connect(t), Config{})
	require.NoError(t, err)
	_, err = p.SendAsync("alice", nil)
	require.ErrorIs(t, err, ErrNotStarted)
	require.NoError(t, p.Stop(context.Background()))
	require.ErrorIs(t, p.Start(context.Background()), ErrClosed)
}

func TestReceiptsComeOnce(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	nc := srv.Connect(t)
	r := startRouter(t, nc)
	receipts := make(chan uint64, 100)
	p := startPublisher(t, srv.Connect(t), Config{OnReceipt: func(tag uint64) { receipts <- tag }})
	h, err := p.Publish(context.Background(), Event{Key: "a", Tag: 70, Receipt: true})
	require.NoError(t, err)
	f := <-r.got
	require.True(t, f.Events[0].Receipt)
	send := func(seqs ...uint64) {
		require.NoError(t, nc.Publish(topology.ReceiptSubject(appname.Default, p.ID().String()), frame.Receipt{Generation: 1, Seqs: seqs}.Append(nil)))
	}
	send(1, 1, 99)
	require.Equal(t, uint64(70), <-receipts, "also before the ack")
	r.answer(t, f, stored)
	require.NoError(t, h.Wait(ctx))
	_, err = p.Publish(context.Background(), Event{Key: "a", Tag: 71, Receipt: true})
	require.NoError(t, err)
	r.answer(t, <-r.got, stored)
	send(1, 2)
	require.Equal(t, uint64(71), <-receipts, "the first one's is not reported again")
}

func TestNATSRestartIsSurvived(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	srv := testkit.NATS(t)
	opts := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectBufSize(-1)}
	r := startRouter(t, srv.Connect(t, opts...))
	p := startPublisher(t, srv.Connect(t, opts...), Config{})
	srv.Stop()
	h, err := p.SendAsync("alice", []byte("while it was down"))
	require.NoError(t, err)
	srv.Start(t)
	f := <-r.got
	r.answer(t, f, stored)
	require.NoError(t, h.Wait(ctx))
}
