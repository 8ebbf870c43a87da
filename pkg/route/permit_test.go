package route

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// losePermit keeps the router from hearing of its renewals until its permit has expired.
func (s *system) losePermit(t testing.TB) {
	s.router.watcher.Stop()
	require.Eventually(t, func() bool { _, valid := s.router.permit.Valid(); return !valid }, patience, time.Millisecond)
}

// regainPermit lets it hear of them again, in a new term.
func (s *system) regainPermit(t testing.TB) {
	kv, err := s.router.js.KeyValue(t.Context(), topology.Bucket("app", "topology"))
	require.NoError(t, err)
	w, err := topology.Watch(t.Context(), s.router.nc, kv, s.router.permit, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(w.Stop)
	require.Eventually(t, func() bool {
		term, valid := s.router.permit.Valid()
		require.LessOrEqual(t, term, uint64(2))
		return valid
	}, patience, time.Millisecond)
}

// keysOf returns n keys that lie on different shards.
func (s *system) keysOf(t testing.TB, n int) (keys []string) {
	seen := make(map[string]bool)
	for i := 0; len(keys) < n; i++ {
		key := "key-" + strconv.Itoa(i)
		if subject := s.subject(t, key); !seen[subject] {
			seen[subject] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// awaitUnacknowledged waits until n frames and events have been stored without an acknowledgement.
func (s *system) awaitUnacknowledged(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.counter(t, "unacknowledged_total") == float64(n) }, patience, time.Millisecond)
}

// An epoch may have ended in between, and a message that JetStream confirms may lie after its end.
func TestRouterAcknowledgesNothingWithoutItsPermit(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	log := s.slowLog(t)
	keys := s.keysOf(t, 3)
	lost, another := s.sender(t), s.sender(t) // frames confirmed without a permit, and in another term of it
	queued := s.sender(t)                     // frames that gather behind those
	send := func(from *sender, key string) {
		from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{key, 1}))
	}
	send(lost, keys[0])
	lostFrame := log.take(t)
	lost.send(t, topology.EventSubject("app")+"."+keys[2], nil)
	lostEvent := log.take(t)
	send(another, keys[1])
	anotherFrame := log.take(t)
	another.send(t, topology.EventSubject("app")+"."+keys[2], nil)
	anotherEvent := log.take(t)
	send(queued, keys[0])
	send(queued, keys[1])
	require.Eventually(t, func() bool { return s.counter(t, "frames_total") == 4 }, patience, time.Millisecond)

	s.losePermit(t)
	require.ErrorIs(t, s.router.Ready(), errNoPermit)
	refused := frame.Answer{Code: frame.Closing, Reason: "this router's permit has expired", Retry: true}
	require.Equal(t, refused, s.send(t, encode(t, session(1), 1, event{keys[0], 1})))
	require.Equal(t, &logError{Code: 503, Description: refused.Reason}, s.sendPlain(t, plain(keys[2], "")).Error)
	log.confirm(t, lostFrame)
	require.Equal(t, refused, answer(t, queued.answer(t)), "what gathered is not published")
	log.confirm(t, lostEvent)
	s.awaitUnacknowledged(t, 2)
	lost.none(t, s.router)

	s.regainPermit(t)
	now := s.sender(t)
	send(now, keys[1]) // gathers behind the one of the first term
	require.Eventually(t, func() bool { return s.counter(t, "frames_total") == 5 }, patience, time.Millisecond)
	log.confirm(t, anotherFrame)
	require.Equal(t, refused, answer(t, queued.answer(t)), "what gathered in another term is not published")
	log.confirm(t, anotherEvent)
	s.awaitUnacknowledged(t, 4)
	another.none(t, s.router)
	log.confirm(t, log.take(t))
	require.Zero(t, answer(t, now.answer(t)))
	require.NoError(t, s.router.Ready())
	n, _, err := log.sub.Pending()
	require.NoError(t, err)
	require.Zero(t, n)
}

// A frame of two shards, of which one is stored in one term and the other in the next.
func TestFrameThatIsStoredInTwoTerms(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	log := s.slowLog(t)
	keys := s.keysOf(t, 2)
	from := s.sender(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{keys[0], 1}, event{keys[1], 1}))
	first, second := log.take(t), log.take(t)
	log.confirm(t, first)
	require.Eventually(t, func() bool { return s.counter(t, "batches_total") == 1 }, patience, time.Millisecond)
	s.losePermit(t)
	s.regainPermit(t)
	log.confirm(t, second)
	s.awaitUnacknowledged(t, 1)
	from.none(t, s.router)
}

// The server is away for longer than the permit lasts. Afterwards all goes on by itself.
func TestRouterOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	require.Zero(t, s.send(t, encode(t, session(1), 1, event{"key", 1})))
	s.NATSServer.Stop()
	require.Eventually(t, func() bool { return s.router.Ready() != nil }, patience, time.Millisecond)
	s.NATSServer.Start(t)
	require.Eventually(t, func() bool { return s.router.Ready() == nil }, patience, time.Millisecond)
	nc := connect(t, s.NATSServer)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, topology.FrameSubject("app"), encode(t, session(1), 2, event{"key", 1}))
	require.NoError(t, err)
	require.Zero(t, answer(t, m.Data))
	term, _ := s.router.permit.Valid()
	require.EqualValues(t, 2, term)
}
