package route

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// ordered is a message with a command, and headers, given by name and value.
func ordered(body string, headers ...string) *nats.Msg {
	m := nats.NewMsg(topology.CommandSubject("app"))
	m.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Add(headers[i], headers[i+1])
	}
	return m
}

// A command lies in its key's log behind the events that were acknowledged before it.
func TestCommandFollowsTheEventsOfItsKey(t *testing.T) {
	for _, key := range []string{"user-1", "a key > that is * no subject", " a blank and\na line break"} {
		t.Run(key, func(t *testing.T) {
			s := newSystem(t)
			require.Equal(t, frame.Stored, s.send(t, encode(t, session(1), 1, event{key, 1})).Code)
			c := frame.Command{Op: frame.CommandRetry, Key: key, First: "1-2-3", Last: "1-2-5", Count: 2}
			ack := s.sendPlain(t, ordered(" "+string(c.Append(nil))+"\n", "By", "operator"))
			require.Nil(t, ack.Error)
			messages := s.stored(t)[s.subject(t, key)]
			require.Len(t, messages, 2)
			m := messages[1]
			lane, shard := strings.Split(m.Subject, ".")[3], strings.Split(m.Subject, ".")[4]
			require.Equal(t, nats.Header{"Kind": {"command"}, "Lockstep-Place": {"1." + shard}, "By": {"operator"}}, m.Header)
			require.Equal(t, "APP_1_"+lane, ack.Stream)
			require.Equal(t, m.Sequence, ack.Sequence)
			got, err := frame.DecodeCommand(m.Data)
			require.NoError(t, err)
			require.Equal(t, c, got)
			require.EqualValues(t, 1, s.counter(t, "commands_total"))
			require.Zero(t, s.counter(t, "plain_events_total"))
		})
	}
}

func TestCommandIsDeduplicatedByItsID(t *testing.T) {
	s := newSystem(t)
	const body = `{"op":"drop","key":"k","first":"1-2-3","last":"1-2-3","count":1}`
	require.False(t, s.sendPlain(t, ordered(body, "Nats-Msg-Id", "id-1")).Duplicate)
	require.True(t, s.sendPlain(t, ordered(body, "Nats-Msg-Id", "id-1")).Duplicate)
	s.one(t, "k")
}

func TestCommandRefused(t *testing.T) {
	s := newSystem(t)
	const good = `{"op":"drop","key":"k","first":"1-2-3","last":"1-2-3","count":1}`
	refused := []struct {
		want string
		m    *nats.Msg
	}{
		{"not a command: EOF", ordered("")},
		{`not a command: op is "skip", not "retry" or "drop"`, ordered(`{"op":"skip"}`)},
		{"event has no key", ordered(`{"op":"drop","first":"1-2-3","last":"1-2-3","count":1}`)},
		{"count is 0 or missing", ordered(`{"op":"drop","key":"k","first":"1-2-3","last":"1-2-3"}`)},
		{"event is too large", ordered(strings.Repeat(" ", 512<<10) + good)},
		{"header Key: a command names its key in its body", ordered(good, "Key", "k")},
		{"header Kind is the router's own", ordered(good, "Kind", "event")},
		{"header Nats-Rollup asks JetStream", ordered(good, "Nats-Rollup", "all")},
	}
	for _, c := range refused {
		ack := s.sendPlain(t, c.m)
		require.NotNil(t, ack.Error, c.want)
		require.Equal(t, 400, ack.Error.Code)
		require.Contains(t, ack.Error.Description, c.want)
	}
	require.Empty(t, s.stored(t))
	require.EqualValues(t, len(refused), s.counter(t, "refused_total"))
	require.Zero(t, s.counter(t, "commands_total"))
}

// A command is acknowledged as an event is: only under the term of the permit under which it arrived.
func TestCommandWithoutAPermit(t *testing.T) {
	s := newSystem(t)
	s.router.permit.Revoke()
	ack := s.sendPlain(t, ordered(`{"op":"drop","key":"k","first":"1-2-3","last":"1-2-3","count":1}`))
	require.NotNil(t, ack.Error)
	require.Equal(t, 503, ack.Error.Code)
	require.Equal(t, errNoPermit.Error(), ack.Error.Description)
	require.Empty(t, s.stored(t))
}

func TestCommandWhileTheRouterIsOverloaded(t *testing.T) {
	s := newSystem(t)
	from := s.sender(t)
	m := ordered("any")
	m.Reply = from.sub.Subject
	s.router.shed(frame.KindCommand)(m)
	var got struct {
		Error *logError `json:"error"`
	}
	require.NoError(t, json.Unmarshal(from.answer(t), &got))
	require.Equal(t, &logError{Code: 503, Description: errOverloaded.Error()}, got.Error)
}
