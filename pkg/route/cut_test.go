package route

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Messages in flight when the connection broke fail: their confirmation may never come, and all later events of
// its shard meanwhile would wait behind it.
func TestCutConnection(t *testing.T) {
	s := newSystem(t)
	link := s.Link(t)
	r, err := New(s.ConnectOver(t, link, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectBufSize(-1)), s.linked())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	defer func() { require.NoError(t, r.Stop(context.Background())) }()
	require.NoError(t, s.router.Stop(t.Context()))
	log := s.slowLog(t)
	from := s.sender(t)
	send := func() { from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1})) }

	for range 3 {
		send()
		lost := log.take(t)
		begun := time.Now()
		link.Cut()
		require.Equal(t, frame.Answer{Code: frame.LogError, Reason: errCut.Error(), Retry: true}, answer(t, from.answer(t)))
		require.Less(t, time.Since(begun), storeTimeout/2)

		send()
		again := log.take(t)
		log.confirm(t, lost) // comes too late to count
		require.NoError(t, again.Respond([]byte(`{"error":{"code":500,"description":"odd"}}`)))
		require.Equal(t, frame.LogError, answer(t, from.answer(t)).Code, "the late confirmation stands for no other")
		from.none(t, r)
	}
}
