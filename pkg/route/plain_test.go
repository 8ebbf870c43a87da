package route

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// plain is a plain event with headers, given by name and value.
func plain(key, data string, headers ...string) *nats.Msg {
	m := nats.NewMsg(topology.EventSubject("app") + "." + key)
	m.Data = []byte(data)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Add(headers[i], headers[i+1])
	}
	return m
}

// sendPlain sends a plain event and returns the answer.
func (s *system) sendPlain(t testing.TB, m *nats.Msg) (ack struct {
	jetstream.PubAck
	Error *logError `json:"error"`
}) {
	a, err := s.Conn.RequestMsg(m, patience)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(a.Data, &ack), "%q", a.Data)
	return ack
}

// one returns the only message of a key's shard.
func (s *system) one(t testing.TB, key string) *jetstream.RawStreamMsg {
	messages := s.stored(t)[s.subject(t, key)]
	require.Len(t, messages, 1)
	return messages[0]
}

func TestPlainEventIsStored(t *testing.T) {
	for name, c := range map[string]struct {
		m   *nats.Msg
		key string
	}{
		"key in the subject": {plain("user-1", "x"), "user-1"},
		"key with dots":      {plain("eu.user.1", "x"), "eu.user.1"},
		"key in the header":  {plain("any", "x", "Key", "a key > that is * no subject"), "a key > that is * no subject"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			ack := s.sendPlain(t, c.m)
			require.Nil(t, ack.Error)
			m := s.one(t, c.key)
			require.Equal(t, "x", string(m.Data))
			lane, shard := strings.Split(m.Subject, ".")[3], strings.Split(m.Subject, ".")[4]
			require.Equal(t, nats.Header{"Kind": {"event"}, "Lockstep-Place": {"1." + shard}, "Key": {c.key}}, m.Header)
			require.Equal(t, "APP_1_"+lane, ack.Stream)
			require.Equal(t, m.Sequence, ack.Sequence)
			require.False(t, ack.Duplicate)
			require.EqualValues(t, 1, s.counter(t, "plain_events_total"))
		})
	}
}

func TestPlainEventsHeaders(t *testing.T) {
	s := newSystem(t)
	ack := s.sendPlain(t, plain("key", "x",
		"Type", "paid", "Mine", "1", "Mine", "2", "Kind", "event", "Key", "key", "status", "404", "kind", "end", "type", "x",
		"Nats-Msg-Id", "id-1", "Nats-Request-Info", "{}", "Nats-Trace-Dest", "trace", "Nats-Trace-Hop", "1",
		"Lockstep-Place", "9.9", "Nats-Stream", "OTHER", "Nats-Sequence", "77", "Nats-Scheduler", "other.1", "Nats-Schedule-Next", "purge"))
	require.Nil(t, ack.Error)
	require.Equal(t, nats.Header{
		"Type": {"paid"}, "Mine": {"1", "2"}, "Kind": {"event"}, "Lockstep-Place": {"1.2"}, "Key": {"key"}, "Nats-Msg-Id": {"id-1"},
		"status": {"404"}, "kind": {"end"}, "type": {"x"},
	}, s.one(t, "key").Header)

	again := s.sendPlain(t, plain("key", "x", "Nats-Msg-Id", "id-1"))
	require.True(t, again.Duplicate)
	require.Equal(t, ack.Sequence, again.Sequence)
	s.one(t, "key")
	require.False(t, s.sendPlain(t, plain("key", "x", "Nats-Msg-Id", "id-2")).Duplicate)
}

func TestPlainEventRefused(t *testing.T) {
	s := newSystem(t)
	for want, m := range map[string]*nats.Msg{
		"event has no key": plain("key", "x", "Key", ""),
		"key is too long: 513 bytes, at most 512 are allowed": plain("key", "x", "Key", strings.Repeat("k", 513)),
		"key is too long: 600 bytes":                          plain(strings.Repeat("k", 600), "x"),
		"key is not UTF-8":                                    plain("key", "x", "Key", "\xff"),
		"event is too large: 524289 bytes":                    plain("key", strings.Repeat("x", 512<<10+1)),
		"event is too large: ":                                plain("key", strings.Repeat("x", 512<<10), "Mine", "1"),
	} {
		ack := s.sendPlain(t, m)
		require.NotNil(t, ack.Error, want)
		require.Equal(t, 400, ack.Error.Code)
		require.Contains(t, ack.Error.Description, want)
	}
	require.Empty(t, s.stored(t))
	require.Nil(t, s.sendPlain(t, plain("key", strings.Repeat("x", 512<<10))).Error)
}

// A key that a header would carry as another one is refused: its state would have two owners. Clients of NATS trim what
// they send, but not all need be such.
func TestPlainEventWhoseKeyAHeaderChanges(t *testing.T) {
	s := newSystem(t)
	for _, key := range []string{"abc ", " abc", "a\rb", "a\nb"} {
		inbox := s.Conn.NewInbox()
		sub, err := s.Conn.SubscribeSync(inbox)
		require.NoError(t, err)
		require.NoError(t, s.Conn.Flush())
		m := plain("any", "x", "Key", key)
		m.Reply = inbox
		s.router.takeEvent(m)
		got, err := sub.NextMsg(patience)
		require.NoError(t, err)
		require.Contains(t, string(got.Data), "begins or ends with a blank or holds a line break")
	}
	require.Empty(t, s.stored(t))
}

// sendRaw sends a plain event as a client does that writes its own headers, and returns the answer.
func (s *system) sendRaw(t testing.TB, key, headers, data string) logError {
	t.Helper()
	from := s.sender(t)
	require.NoError(t, s.Conn.Flush())
	c, err := net.Dial("tcp", s.Server.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	headers = "NATS/1.0\r\n" + headers + "\r\n"
	_, err = fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"headers\":true}\r\nHPUB %s.%s %s %d %d\r\n%s%s\r\nPING\r\n",
		topology.EventSubject("app"), key, from.sub.Subject, len(headers), len(headers)+len(data), headers, data)
	require.NoError(t, err)
	var answer struct {
		Error logError `json:"error"`
	}
	require.NoError(t, json.Unmarshal(from.answer(t), &answer))
	return answer.Error
}

// The router does as a header asks, or refuses the event.
func TestPlainEventWithUnsupportedHeaders(t *testing.T) {
	s := newSystem(t)
	for headers, want := range map[string]string{
		"Key: gooda1\r\nNats-Msg-Id: ma1\r\nno-colon-line\r\n": "headers cannot be read",
		" Key: folded\r\n":                               "header name \" Key\" contains a space",
		"Key : sp\r\n":                                   "header name \"Key \" contains a space",
		"Mine: 1\r\n\tand: more\r\n":                     "header name \"\\tand\" contains a space",
		"Größe: 1\r\n":                                   "header name",
		"Key: trailing \r\n":                             "begins or ends with a blank",
		"Key: trailing\t\r\n":                            "begins or ends with a blank",
		"key: a\r\n":                                     "header \"key\": write it as \"Key\"",
		"KEY: a\r\n":                                     "header \"KEY\": write it as \"Key\"",
		"Key: a\r\nKey: b\r\n":                           "header Key occurs 2 times",
		"nats-msg-id: a\r\n":                             "header \"nats-msg-id\": write it as \"Nats-Msg-Id\"",
		"Nats-Msg-Id: a\r\nNats-Msg-Id: b\r\n":           "header Nats-Msg-Id occurs 2 times",
		"Nats-Msg-Id: \r\n":                              "must not be empty",
		"Nats-Msg-Id: a \r\n":                            "must not be empty, begin or end with a blank",
		"Kind: end\r\n":                                  "header Kind is the router's own",
		"Kind: event\r\nKind: end\r\n":                   "header Kind is the router's own",
		"Status: 100\r\n":                                "header Status is NATS's own",
		"Description: x\r\n":                             "header Description is NATS's own",
		"Nats-Expected-Stream: APP_1_0\r\n":              "header Nats-Expected-Stream asks JetStream",
		"Nats-Expected-Last-Sequence: 7\r\n":             "asks JetStream",
		"nats-expected-last-msg-id: x\r\n":               "asks JetStream",
		"Nats-Expected-Last-Subject-Sequence: 0\r\n":     "asks JetStream",
		"Nats-TTL: 1s\r\n":                               "asks JetStream",
		"NATS-TTL: 1s\r\n":                               "asks JetStream",
		"Nats-Rollup: all\r\n":                           "asks JetStream",
		"Nats-Schedule: @every 1s\r\n":                   "asks JetStream",
		"Nats-Schedule-TTL: 1s\r\n":                      "asks JetStream",
		"Nats-Schedule-Target: x\r\n":                    "asks JetStream",
		"Nats-Batch-Id: x\r\nNats-Batch-Sequence: 1\r\n": "asks JetStream",
		"Nats-Incr: 1\r\n":                               "asks JetStream",
	} {
		err := s.sendRaw(t, "_", headers, "x")
		require.Equal(t, 400, err.Code, "%q: %s", headers, err.Description)
		require.Contains(t, err.Description, want, "%q", headers)
	}
	require.Empty(t, s.stored(t))

	require.Zero(t, s.sendRaw(t, "_", "Key:   leading\r\n", "x"), "the client library has stripped the blanks")
	require.Equal(t, "leading", s.one(t, "leading").Header.Get("Key"))
}

func TestPlainEventWithoutReplySubject(t *testing.T) {
	s := newSystem(t)
	require.NoError(t, s.Conn.PublishMsg(plain("key", "x")))
	require.NoError(t, s.Conn.PublishMsg(plain("key", "x", "Key", "")))
	require.Nil(t, s.sendPlain(t, plain("key", "y")).Error)
	require.Len(t, s.stored(t)[s.subject(t, "key")], 2)
}

// The router's ring is of an epoch that the topology has already dropped.
func TestPlainEventBetweenTwoEpochs(t *testing.T) {
	s := newSystem(t)
	refused := func() *logError {
		s.router.mu.Lock()
		s.router.gather = gather.New(7, 1, func([]byte) int { return 0 }, 1<<20, 1<<20)
		s.router.mu.Unlock()
		return s.sendPlain(t, plain("key", "x")).Error
	}
	err := refused()
	if err == nil { // the router has just looked at the topology, as it does once when it has started
		err = refused()
	}
	require.Equal(t, &logError{Code: 503, Description: "epoch 7 has just ended: send again"}, err)
}
