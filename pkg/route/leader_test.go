package route

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Messages sent to a leader that is gone fail; those of a stream that is only slow do not.
func TestNewLeaderLacksMessagesOfTheLastOne(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.Initial.Lanes = 1 })
	log := s.slowLog(t)
	answers := make(chan string)
	l, err := newLogWriter(s.Conn, func(ctx context.Context, lane string) (string, error) {
		assert.Equal(t, "app.work.1.0.", lane)
		select {
		case by := <-answers:
			return by, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer l.close()
	ends := make(chan error, 1)
	store := func() *nats.Msg {
		l.store(&nats.Msg{Subject: topology.WorkSubject("app", 1, 0, 2)}, func(_ []byte, err error) { ends <- err })
		return log.take(t)
	}

	m := store()
	for range 3 { // at once, and then because it is silent
		answers <- "one"
	}
	log.confirm(t, m)
	require.NoError(t, <-ends)

	begun := time.Now()
	store()
	answers <- "two"
	require.ErrorIs(t, <-ends, errNewLeader)
	require.Less(t, time.Since(begun), storeTimeout/2)
}

// A lane whose leader answers and confirms nothing is told of once, and once more when it confirms again.
func TestLogThatStoresNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(c *Config) { c.Initial.Lanes = 1 })
	log := s.slowLog(t)
	var said testkit.Log
	l, err := newLogWriter(s.Conn, func(context.Context, string) (string, error) { return "one", nil }, said.Logger())
	require.NoError(t, err)
	defer l.close()
	ends := make(chan error, 2)
	store := func() *nats.Msg {
		l.store(&nats.Msg{Subject: topology.WorkSubject("app", 1, 0, 2)}, func(_ []byte, err error) { ends <- err })
		return log.take(t)
	}
	store()
	require.ErrorIs(t, <-ends, errNoConfirmation)
	m := store()
	says := regexp.MustCompile(`level=WARN msg="the log stores nothing" subjects=app\.work\.1\.0\.\* for=\d+s error="NATS answers for it, but stores nothing in it: `)
	require.Eventually(t, func() bool { return says.MatchString(said.String()) }, patience, time.Millisecond, "%s", &said)
	log.confirm(t, m)
	require.NoError(t, <-ends)
	require.Eventually(t, func() bool { return strings.Contains(said.String(), "the log stores again") }, patience, time.Millisecond, "%s", &said)
	require.Equal(t, 2, strings.Count(said.String(), "\n"), "%s", &said)
}

func TestLeaderOfALane(t *testing.T) {
	s := newSystem(t)
	by, err := s.router.leaderOf(t.Context(), "app.work.1.0.")
	require.NoError(t, err)
	require.Equal(t, s.Server.Name(), by)
	_, err = s.router.leaderOf(t.Context(), "app.work.1.9.")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}
