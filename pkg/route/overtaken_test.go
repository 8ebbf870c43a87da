package route

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// What a stream passes over went down with its leader: it is not waited for, as all that comes for its shard would wait too.
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
	require.Empty(t, from.answer(t))
	require.Equal(t, frame.Answer{Code: frame.LogError, Reason: errOvertaken.Error(), Retry: true}, answer(t, from.answer(t)))
	require.Less(t, time.Since(begun), storeTimeout/2)
}
