package publish

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

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
	_, err := New(srv.Connect(t, nats.CustomInboxPrefix(appname.Default+".inbox")), Config{})
	require.ErrorContains(t, err, "give the connection another inbox prefix")
	_, err = New(srv.Connect(t, nats.CustomInboxPrefix(appname.Default+"-inbox")), Config{})
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
