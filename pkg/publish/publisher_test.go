package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
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

// takesFrames is a subscription on the routers' subject and on that of answerAsRouter.
const takesFrames = "lockstep.in.>"

// router is the other end: it takes frames and answers as the test tells it to.
type router struct {
	nc  *nats.Conn
	sub *nats.Subscription
	got chan taken
}

type taken struct {
	frame.Frame
	m *nats.Msg
}

func startRouter(t *testing.T, nc *nats.Conn) *router {
	r := &router{nc: nc, got: make(chan taken, 1000)}
	var err error
	r.sub, err = nc.Subscribe(takesFrames, func(m *nats.Msg) {
		if asksWhoIsThere(t, m) {
			return
		}
		var f frame.Frame
		if err := f.Decode(m.Data); err != nil {
			t.Errorf("publisher sent a bad frame: %v", err)
		}
		r.got <- taken{f, m}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return r
}

// asksWhoIsThere answers an empty frame, as a router does.
func asksWhoIsThere(t *testing.T, m *nats.Msg) bool {
	if len(m.Data) > 0 {
		return false
	}
	answerAsRouter(t, m, frame.Answer{Code: frame.Malformed})
	return true
}

func (r *router) answer(t *testing.T, f taken, a frame.Answer) { answerAsRouter(t, f.m, a) }

// answerAsRouter answers a message as a router does.
func answerAsRouter(t *testing.T, m *nats.Msg, a frame.Answer) {
	var f frame.Frame
	if f.Decode(m.Data) == nil {
		a.Seq = f.Events[0].Seq
	}
	said(t, m.RespondMsg(&nats.Msg{Reply: topology.FrameSubject("lockstep") + ".test", Data: a.Append(nil)}))
}

// said requires that an answer was sent, unless the test has ended, and with it the connection.
func said(t *testing.T, err error) {
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
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

var stored = frame.Answer{}

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

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.Closing, Retry: true})
	r.answer(t, <-r.got, frame.Answer{Code: frame.LogFull, Retry: true})
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(ctx), "refusals that may pass")

	h, err = p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.SessionTooOld, Reason: "your clock is off"})
	err = h.Wait(ctx)
	var a frame.Answer
	require.ErrorAs(t, err, &a)
	require.Equal(t, frame.SessionTooOld, a.Code)
	require.ErrorContains(t, err, "your clock is off")
	require.NotErrorIs(t, err, ErrUnknown, "the first attempt was refused: certainly not stored")

	h, err = p.SendAsync("alice", nil)
	require.NoError(t, err)
	<-r.got
	r.answer(t, <-r.got, frame.Answer{Code: frame.SessionTooOld})
	require.ErrorIs(t, h.Wait(ctx), ErrUnknown, "what came of the first attempt is not known")

	for _, c := range []struct {
		key  string
		data []byte
		want error
		says string
	}{
		{"", nil, ErrNoKey, ""},
		{strings.Repeat("k", 513), nil, ErrKeyTooLong, "513 bytes, at most 512"},
		{"\xff", nil, ErrKeyNotUTF8, ""},
		{"k", make([]byte, frame.MaxEventBytes), ErrEventTooLarge, "at most 524288"},
	} {
		_, err := p.SendAsync(c.key, c.data)
		require.ErrorIs(t, err, c.want)
		require.ErrorContains(t, err, c.says)
	}
	select {
	case f := <-r.got:
		t.Fatalf("a bad event was sent: %v", f.Events)
	default:
	}
}

func TestNoRouterIsWaitedFor(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r := startRouter(t, srv.Connect(t))
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(ctx))
}

// An event that was given up tells what kept it, if a router has said so.
func TestTimeoutNamesTheLastRefusal(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{DeliveryTimeout: time.Second})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.LogFull, Reason: "no room", Retry: true})
	err = h.Wait(context.Background())
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, "the last answer was: router refused (log full): no room")
	require.False(t, errors.As(err, new(frame.Answer)), "that would mean that it is not stored")
}

// A key whose event was given up sends its next one only once all below that event are resolved, with a floor above it.
func TestGivenUpEventHoldsItsKey(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	send := func(key, data string) *Handle {
		h, err := p.SendAsync(key, []byte(data))
		require.NoError(t, err)
		return h
	}
	var came []string
	take := func(data string) taken { // passing over copies of others
		for {
			f := <-r.got
			before := len(came)
			for _, e := range f.Events {
				came = append(came, string(e.Data))
			}
			if slices.Contains(came[before:], data) {
				return f
			}
		}
	}
	below := send("bob", "below")
	first := take("below")
	lost := send("alice", "lost")
	take("lost")
	r.answer(t, take("lost"), frame.Answer{Code: frame.SessionTooOld}) // what came of the first attempt is not known
	require.ErrorIs(t, lost.Wait(ctx), ErrUnknown)

	next := send("alice", "next")
	other := send("carol", "other")
	f := take("other")
	require.NotContains(t, came, "next", "unless it is held it leaves before the other key's, or with it")
	r.answer(t, f, stored)
	require.NoError(t, other.Wait(ctx))
	r.answer(t, first, stored)
	require.NoError(t, below.Wait(ctx))
	f = take("next")
	require.Greater(t, f.Floor, lost.Seq())
	r.answer(t, f, stored)
	require.NoError(t, next.Wait(ctx))
}

func TestBounds(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{MaxEvents: 3, MaxBytes: 10_000})
	var handles []*Handle
	for i := range 3 {
		h, err := p.SendAsync(fmt.Sprint(i), nil)
		require.NoError(t, err)
		handles = append(handles, h)
	}
	_, err := p.SendAsync("more", nil)
	require.ErrorIs(t, err, ErrFull)
	room := make(chan error, 1)
	go func() { room <- p.WaitRoom(ctx) }()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, p.WaitRoom(ended), context.Canceled)
	n := 0
	for n < 3 {
		f := <-r.got
		n += len(f.Events)
		r.answer(t, f, stored)
	}
	require.NoError(t, <-room)
	for _, h := range handles {
		require.NoError(t, h.Wait(ctx))
	}
	_, err = p.SendAsync("large", make([]byte, 9_000))
	require.NoError(t, err)
	_, err = p.SendAsync("large", make([]byte, 9_000))
	require.ErrorIs(t, err, ErrFull, "by bytes")
}

// An event that does not fit now waits for room of its own size, and no longer than its caller does.
func TestSendOfALargeEventWaitsForRoom(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{MaxBytes: 1 << 20})
	small, err := p.SendAsync("small", make([]byte, 1000))
	require.NoError(t, err)
	f := <-r.got
	large := make([]byte, 500<<10)
	for i := range 2 {
		_, err := p.SendAsync(fmt.Sprint("large", i), large)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Send(ctx, "third", large), context.DeadlineExceeded)
	sent := make(chan error, 1)
	go func() { sent <- p.Send(context.Background(), "third", large) }()
	r.answer(t, f, stored)
	require.NoError(t, small.Wait(context.Background()))
	for range 3 {
		r.answer(t, <-r.got, stored)
	}
	require.NoError(t, <-sent)
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
		require.NoError(t, nc.Publish(topology.ReceiptSubject("lockstep", p.ID().String()), frame.Receipt{Generation: 1, Seqs: seqs}.Append(nil)))
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

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{Config{App: "Bad App"}, "app"},
		{Config{MaxEvents: -1}, "MaxEvents"},
		{Config{MaxBytes: -1}, "MaxBytes"},
		{Config{DeliveryTimeout: time.Millisecond}, "DeliveryTimeout"},
	} {
		_, err := c.cfg.withDefaults()
		require.ErrorContains(t, err, c.says)
	}
	cfg, err := Config{}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, 32768, cfg.MaxEvents)
	require.Equal(t, 32<<20, cfg.MaxBytes)
	require.Equal(t, 30*time.Second, cfg.DeliveryTimeout)
}

// Routers answer nowhere under the app's own subjects.
func TestInboxAmongTheAppsSubjects(t *testing.T) {
	srv := testkit.NATS(t)
	_, err := New(srv.Connect(t, nats.CustomInboxPrefix("lockstep.inbox")), Config{})
	require.ErrorContains(t, err, "give the connection another inbox prefix")
	_, err = New(srv.Connect(t, nats.CustomInboxPrefix("lockstep-inbox")), Config{})
	require.NoError(t, err)
}

// The limits that Event tells are those that hold, for each of its fields.
func TestLimitsOfAnEvent(t *testing.T) {
	const most = 524_270
	data := func(n int) []byte { return make([]byte, n) }
	name := strings.Repeat("n", 200)
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	for what, ev := range map[string]Event{
		"a short key":    {Key: "k", Data: data(most - 1)},
		"a long key":     {Key: strings.Repeat("k", 512), Data: data(most - 512)},
		"with receipt":   {Key: "k", Data: data(most - 1 - 2), Receipt: true},
		"with a type":    {Key: "k", Data: data(most - 1 - 200 - 4), Type: name},
		"with headers":   {Key: "k", Data: data(most - 1 - 2*(202+12)), Headers: map[string]string{name: "aa", name[1:]: "bbb"}},
		"a large header": {Key: "k", Headers: map[string]string{"n": string(data(most - 2 - 12))}},
		"blanks":         {Key: " \tk\r\n "},
	} {
		h, err := p.Publish(context.Background(), ev)
		require.NoError(t, err, what)
		f := <-r.got
		require.Equal(t, ev.Key, string(f.Events[0].Key), what)
		require.Len(t, f.Events[0].Data, len(ev.Data), what)
		r.answer(t, f, stored)
		require.NoError(t, h.Wait(context.Background()), what)
	}
	for what, ev := range map[string]Event{
		"data":      {Key: strings.Repeat("k", 512), Data: data(most - 512 + 1)},
		"a receipt": {Key: strings.Repeat("k", 512), Data: data(most - 512 - 1), Receipt: true},
	} {
		_, err := p.Publish(context.Background(), ev)
		requireNotStored(t, err, ErrEventTooLarge)
		require.ErrorContains(t, err, "524288", what)
	}
}
