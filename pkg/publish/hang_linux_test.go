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

// load sends events and keeps the longest wait for an outcome and the first error.
type load struct {
	p       *Publisher
	size    int
	longest time.Duration
	err     error
}

// resolved takes an event whose tag is when it was sent.
func (l *load) resolved(h *Handle) {
	if h.Tag == 0 {
		return
	}
	l.longest = max(l.longest, time.Since(time.Unix(0, int64(h.Tag))))
	if l.err == nil {
		l.err = h.Err()
	}
}

// send sends an event every 5 ms, if there is room, until stop is closed, and waits for all.
func (l *load) send(t *testing.T, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			if err := l.p.Flush(context.Background()); err != nil {
				t.Error(err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
		ev := Event{Key: fmt.Sprint("key-", i%1000), Data: make([]byte, l.size), Tag: uint64(time.Now().UnixNano())}
		if _, err := l.p.Publish(context.Background(), ev); err != nil && !errors.Is(err, ErrFull) {
			t.Error(err)
			return
		}
	}
}

// One of three servers hangs, the one that a publisher is connected to. On a connection of Dial it goes to another within
// 5 s, and nothing fails, whether it sends little or more than the connection takes. On one with nats.go's defaults it
// waits, and says so once.
func TestServerThatHangs(t *testing.T) {
	c := testkit.StartNATSCluster(t)
	hung, other := c.Nodes[0], c.Nodes[1]
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL())
	}
	servers := strings.Join(urls, ",")
	router := other.Connect(t)
	_, err := router.Subscribe(takesFrames, func(m *nats.Msg) {
		if !asksWhoIsThere(t, m) {
			answerAsRouter(t, m, frame.Answer{})
		}
	})
	require.NoError(t, err)
	require.NoError(t, router.Flush())
	dial := func(dial func(string, ...nats.Option) (*nats.Conn, error)) *nats.Conn {
		closed := make(chan struct{})
		nc, err := dial(servers, nats.DontRandomize(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
		require.NoError(t, err)
		t.Cleanup(func() { nc.Close(); <-closed })
		require.Equal(t, hung.URL(), nc.ConnectedUrl())
		return nc
	}

	little, much := &load{size: 100}, &load{size: 200_000} // more than a connection takes that nobody reads
	for _, l := range []*load{little, much} {
		l.p = startPublisher(t, dial(Dial), Config{OnResolve: l.resolved})
	}
	var log logged
	plain := dial(nats.Connect)
	defaults := startPublisher(t, plain, Config{DeliveryTimeout: time.Hour, Log: log.logger()})
	for _, p := range []*Publisher{little.p, much.p, defaults} {
		require.NoError(t, p.Send(context.Background(), "before", nil))
	}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for _, l := range []*load{little, much} {
		sending.Go(func() { l.send(t, stop) })
	}

	hung.Pause(t)
	defer hung.Resume(t)
	waits, err := defaults.SendAsync("key", nil)
	require.NoError(t, err)
	const silent = "no answer from NATS or a router"
	require.Eventually(t, func() bool {
		return little.p.nc.Stats().Reconnects > 0 && much.p.nc.Stats().Reconnects > 0 && strings.Contains(log.String(), silent)
	}, time.Minute, 50*time.Millisecond)
	require.Contains(t, log.String(), "server="+hung.URL())
	close(stop)
	sending.Wait()
	for what, l := range map[string]*load{"little": little, "much": much} {
		t.Logf("%s: an event waited for %s at most", what, l.longest)
		require.NoError(t, l.err, what)
		require.Less(t, l.longest, 10*time.Second, "%s: 5 s, and as much for a machine that is busy", what)
	}
	require.Zero(t, plain.Stats().Reconnects, "the connection is the application's")
	require.ErrorIs(t, waits.Err(), ErrPending)
	hung.Resume(t)
	require.NoError(t, waits.Wait(context.Background()))
	require.Equal(t, 1, strings.Count(log.String(), silent), log.String())
}
