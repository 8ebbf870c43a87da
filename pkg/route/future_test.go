package route

import (
	"encoding/json"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// write writes the topology's entry.
func (s *system) write(t testing.TB, top topology.Topology) {
	b, err := json.Marshal(top)
	require.NoError(t, err)
	kv, err := s.js.KeyValue(t.Context(), topology.Bucket("app", "topology"))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "topology", b)
	require.NoError(t, err)
}

// Under a topology from the future a router acknowledges nothing, neither what comes nor what the log confirms meanwhile: it may
// lie where no worker reads any more. It goes on when the topology can be read again.
func TestRouterUnderATopologyFromTheFuture(t *testing.T) {
	t.Parallel()
	var book testkit.Log
	s := newSystem(t, func(c *Config) { c.Log = book.Logger() })
	top := s.router.watcher.Current()
	log := s.slowLog(t)
	keys := s.keysOf(t, 2)
	lost := s.sender(t)
	lost.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{keys[0], 1}))
	lostFrame := log.take(t)
	lost.send(t, topology.EventSubject("app")+"."+keys[1], nil)
	lostEvent := log.take(t)

	future := top
	future.Needs = topology.Format + 1
	s.write(t, future)
	const why = "this router has let its permit go: the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"
	require.Eventually(t, func() bool { err := s.router.Ready(); return err != nil && err.Error() == why }, patience, time.Millisecond)
	log.confirm(t, lostFrame)
	log.confirm(t, lostEvent)
	s.awaitUnacknowledged(t, 2)
	lost.none(t, s.router)
	refused := frame.Answer{Code: frame.Closing, Reason: why, Retry: true}
	require.Equal(t, refused, s.send(t, encode(t, session(1), 1, event{keys[0], 1})))
	require.Equal(t, &logError{Code: 503, Description: why}, s.sendPlain(t, plain(keys[1], "")).Error)

	another, err := New(connect(t, s.NATSServer), Config{App: "app", Initial: s.cfg.Initial, Log: s.cfg.Log})
	require.NoError(t, err)
	require.ErrorIs(t, another.Start(t.Context()), topology.ErrUnreadable)
	n, _, err := log.sub.Pending()
	require.NoError(t, err)
	require.Zero(t, n, "nothing is published")

	s.write(t, top)
	require.Eventually(t, func() bool { return s.router.Ready() == nil }, patience, time.Millisecond)
	again := s.sender(t)
	again.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{keys[0], 1}))
	log.confirm(t, log.take(t))
	require.Zero(t, answer(t, again.answer(t)))
	require.Zero(t, book.Count("trying another server"), "no server has another topology: %s", &book)
}
