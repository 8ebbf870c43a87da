package route

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// A stream confirms a duplicate at once, and skips no other message by that.
func TestDuplicateOvertakesNothing(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.Initial.Lanes = 1 })
	log := s.slowLog(t)
	from := s.sender(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"a", 1}))
	slow := log.take(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 2, event{"b", 2}))
	known := log.take(t)
	require.NoError(t, known.Respond([]byte(`{"stream":"X","seq":1,"duplicate":true}`)))
	require.Zero(t, answer(t, from.answer(t)))
	s.router.log.overtaken(s.router.log.overtaken(nil)) // as a tick does, and the next one
	log.confirm(t, slow)
	require.Zero(t, answer(t, from.answer(t)), "the first one's")
}

// A message that a stream skips was lost with its leader. It fails at once, for all later events of its shard wait for it.
func TestOvertakenBatchIsSentAgain(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.Initial.Lanes = 1 })
	log := s.slowLog(t)
	from := s.sender(t)
	send := func(key string, id uint64) {
		from.send(t, topology.FrameSubject("app"), encode(t, session(1), id, event{key, 1}))
	}
	send("a", 1)
	lost := log.take(t)
	begun := time.Now()
	send("b", 2)
	next := log.take(t)
	require.NotEqual(t, lost.Subject, next.Subject, "another shard")
	log.confirm(t, next)
	require.Zero(t, answer(t, from.answer(t)))
	require.Equal(t, frame.Answer{Code: frame.LogError, Reason: errOvertaken.Error(), Retry: true}, answer(t, from.answer(t)))
	require.Less(t, time.Since(begun), storeTimeout/2)
}
