package route

import (
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A message names where its answer goes, and may not make a router write to JetStream or into a log.
func TestAnswersGoNowhereButToClients(t *testing.T) {
	s := newSystem(t)
	send := func(subject, reply string, data []byte, header nats.Header) {
		require.NoError(t, s.Conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data, Header: header}))
	}
	replies := []string{
		"$JS.API.STREAM.DELETE.APP_1_0", "$JS.API.STREAM.DELETE.APP_1_1", "$JS.API.STREAM.PURGE.APP_1_0", "$KV.app_topology.topology",
		"app.work.1.0.2", "app.work.1.1.3", "app.in.event.key", "app.in.frame", "other.in.frame",
	}
	for n, reply := range replies {
		frames, plain := topology.FrameSubject("app"), topology.EventSubject("app")+".key"
		send(frames, reply, encode(t, session(byte(n+1)), 1, event{"key", 1}), nil)
		send(frames, reply, nil, nil)
		send(frames, reply, []byte("no frame"), nil)
		send(s.router.own, reply, nil, nil)
		send(plain, reply, []byte("x"), nil)
		send(plain, reply, []byte("x"), nats.Header{"Nats-Rollup": {"all"}})
		send(plain, reply, []byte("x"), nats.Header{"Key": {""}})
	}
	require.Zero(t, s.send(t, encode(t, session(99), 1, event{"key", 1})))
	require.Nil(t, s.sendPlain(t, plain("key", "last")).Error)
	require.Zero(t, s.send(t, encode(t, session(100), 1, event{"key", 1})))

	framed, plainly := 0, 0
	for subject, messages := range s.stored(t) {
		require.Equal(t, s.subject(t, "key"), subject)
		for _, m := range messages {
			if m.Header.Get("Kind") != "" {
				plainly++
				require.Contains(t, []string{"x", "last"}, string(m.Data))
				continue
			}
			require.NoError(t, frame.Parts(m.Data, new(frame.Frame), func(fr *frame.Frame) error { framed += len(fr.Events); return nil }))
		}
	}
	require.Equal(t, len(replies)+2, framed, "they are stored, as if nobody waited for an answer")
	require.Equal(t, len(replies)+1, plainly)
	_, err := topology.Load(t.Context(), s.js, "app")
	require.NoError(t, err)
	require.EqualValues(t, 7*len(replies), s.counter(t, "answers_withheld_total"))
}

// An empty message whose answer goes where routers listen would be answered by them, and so on without end.
func TestRouterDoesNotAnswerItself(t *testing.T) {
	s := newSystem(t)
	seen, err := s.Conn.SubscribeSync("app.in.>")
	require.NoError(t, err)
	for _, subject := range []string{"app.in.frame", s.router.own} {
		for _, reply := range []string{"app.in.frame", s.router.own} {
			require.NoError(t, s.Conn.PublishRequest(subject, reply, nil))
		}
	}
	const sent = 4
	require.Zero(t, s.send(t, encode(t, session(1), 1, event{"key", 1})))
	_, err = s.Conn.Request(s.router.own, nil, patience)
	require.NoError(t, err)
	require.NoError(t, s.router.nc.Flush())
	require.NoError(t, s.Conn.Flush())
	n, _, err := seen.Pending()
	require.NoError(t, err)
	require.Equal(t, sent+2, n)
}
