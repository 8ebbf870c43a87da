package route

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// raw is a frame of one event that a publisher of ours would not send.
func raw(key string, data int) []byte {
	var body []byte
	body = append(body, 1<<3|2)
	body = appendLength(body, len(key))
	body = append(body, key...)
	body = append(body, 2<<3, 1, 3<<3|2)
	body = appendLength(body, data)
	body = append(body, make([]byte, data)...)
	b := frame.AppendHeader(nil, session(1), 1)
	b = append(b, 3<<3|2)
	b = appendLength(b, len(body))
	return append(b, body...)
}

func appendLength(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestFrameRefused(t *testing.T) {
	s := newSystem(t)
	born := func(birth int64) []byte {
		return encode(t, frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: birth}, 1, event{"key", 1})
	}
	ago := func(d time.Duration) []byte { return born(time.Now().Add(-d).UnixMilli()) }
	good := ago(0)
	for name, c := range map[string]struct {
		data   []byte
		code   frame.Code
		reason string
	}{
		"empty":            {nil, frame.Malformed, "malformed frame: no session"},
		"text":             {[]byte(`{"amount":5}`), frame.Malformed, "malformed frame"},
		"cut off":          {good[:len(good)-1], frame.Malformed, "malformed frame: field ends early"},
		"wrong protobuf":   {[]byte{1<<3 | 2, 2, 1 << 3, 1}, frame.Malformed, "wire type"},
		"no events":        {frame.AppendHeader(nil, session(1), 1), frame.Malformed, "malformed frame: no events"},
		"empty key":        {raw("", 1), frame.NoKey, "event has no key"},
		"key too long":     {raw(strings.Repeat("k", 513), 1), frame.KeyTooLong, "key is too long: 513 bytes, at most 512 are allowed"},
		"key not UTF-8":    {raw("\xff", 1), frame.Malformed, "key is not UTF-8"},
		"event too large":  {raw("key", 512<<10), frame.EventTooLarge, "event is too large: 524299 bytes encoded, at most 524288 are allowed"},
		"frame too large":  {encode(t, session(1), 1, event{"a", 200 << 10}, event{"b", 200 << 10}), frame.Malformed, "at most 262144"},
		"session too old":  {ago(12*time.Hour + time.Minute), frame.SessionTooOld, "session was born 12h1m0s from the broker's time, at most 12h0m0s are allowed"},
		"from the future":  {ago(-12*time.Hour - time.Minute), frame.SessionTooOld, "session was born -12h1m0s from the broker's time"},
		"before all times": {born(math.MinInt64), frame.SessionTooOld, "session was born"},
		"after all times":  {born(math.MaxInt64), frame.SessionTooOld, "session was born"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.send(t, c.data)
			require.Equal(t, c.code, a.Code, a.Reason)
			require.Contains(t, a.Reason, c.reason)
			require.False(t, a.Retry)
		})
	}
	require.Empty(t, s.stored(t))
	require.Zero(t, s.send(t, ago(12*time.Hour-time.Minute)))
	require.Zero(t, s.send(t, ago(-12*time.Hour+time.Minute)))
	require.EqualValues(t, 13, s.counter(t, "refused_total"), "all but the empty one, which asks who is there")
}

func TestBusyRouter(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.MaxBytes = minPayload })
	log := s.slowLog(t)
	from := s.sender(t)
	const size = 100 << 10
	for i := range 5 {
		from.send(t, topology.FrameSubject("app"), encode(t, session(byte(i)+1), 1, event{"key", size}))
	}
	require.Eventually(t, func() bool { return s.counter(t, "frames_total") == 5 }, patience, time.Millisecond)
	a := s.send(t, encode(t, session(9), 1, event{"key", size}))
	require.Equal(t, frame.Answer{Code: frame.Busy, Reason: "this router holds 540672 bytes already", Retry: true}, a)
	m, err := s.Conn.Request(topology.EventSubject("app")+".key", make([]byte, size), patience)
	require.NoError(t, err)
	require.JSONEq(t, `{"error":{"code":503,"err_code":0,"description":"this router holds 540672 bytes already: send again later"}}`, string(m.Data))
	require.Zero(t, s.send(t, nil).Code-frame.Malformed, "what is wrong is refused for what it is")

	for range 2 { // the first event, and the four that gathered meanwhile
		log.confirm(t, log.take(t))
	}
	for range 5 {
		require.Zero(t, answer(t, from.answer(t)))
	}
	from.send(t, topology.FrameSubject("app"), encode(t, session(9), 1, event{"key", size}))
	log.confirm(t, log.take(t))
	require.Zero(t, answer(t, from.answer(t)))
	s.router.mu.Lock()
	defer s.router.mu.Unlock()
	require.Zero(t, s.router.gather.Held())
}

// A plain event's headers count too.
func TestBusyWithHeaders(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.MaxBytes = minPayload })
	log := s.slowLog(t)
	from := s.sender(t)
	m := plain("key", "", "Big", strings.Repeat("x", 200<<10))
	m.Reply = from.sub.Subject
	for range 2 {
		require.NoError(t, s.Conn.PublishMsg(m))
		defer log.confirm(t, log.take(t))
	}
	require.Contains(t, s.sendPlain(t, m).Error.Description, "this router holds 540672 bytes already")
	from.none(t, s.router)
}

func TestClosingRouter(t *testing.T) {
	s := newSystem(t)
	s.router.mu.Lock()
	s.router.closing = true
	s.router.mu.Unlock()
	a := s.send(t, encode(t, session(1), 1, event{"key", 1}))
	require.Equal(t, frame.Answer{Code: frame.Closing, Reason: "this router is stopping", Retry: true}, a)
	m, err := s.Conn.Request(topology.EventSubject("app")+".key", nil, patience)
	require.NoError(t, err)
	require.JSONEq(t, `{"error":{"code":503,"err_code":0,"description":"router is stopping"}}`, string(m.Data))
	require.EqualError(t, s.router.Ready(), "not listening")
	require.Empty(t, s.stored(t))
}

func TestFullLog(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.Initial.Log.MaxBytes = 1 << 20 })
	big := func(n byte) []byte { return encode(t, session(n), 1, event{"key", 200 << 10}) }
	var a frame.Answer
	stored := 0
	for ; a.Code == frame.Stored; stored++ {
		require.Less(t, stored, 10)
		a = s.send(t, big(byte(stored+1)))
	}
	require.Equal(t, frame.Answer{Code: frame.LogFull, Reason: "JetStream refused: maximum bytes exceeded (10077)", Retry: true}, a)
	m, err := s.Conn.Request(topology.EventSubject("app")+".key", bytes.Repeat([]byte("x"), 200<<10), patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), `"err_code":10077`)
	require.Len(t, s.events(t)["key"], stored-1)

	m, err = s.Conn.Request(topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1}), patience)
	require.NoError(t, err)
	require.Zero(t, answer(t, m.Data), "a small one may still fit")
	for lane := range 2 {
		log, err := s.js.Stream(t.Context(), topology.StreamName("app", 1, lane))
		require.NoError(t, err)
		require.NoError(t, log.Purge(t.Context()))
	}
	require.Zero(t, s.send(t, big(99)))
}

func TestLogThatIsGone(t *testing.T) {
	s := newSystem(t)
	for lane := range 2 {
		require.NoError(t, s.js.DeleteStream(t.Context(), topology.StreamName("app", 1, lane)))
	}
	a := s.send(t, encode(t, session(1), 1, event{"key", 1}))
	require.Equal(t, frame.Answer{Code: frame.LogError, Reason: errNoStream.Error(), Retry: true}, a)
	m, err := s.Conn.Request(topology.EventSubject("app")+".key", nil, patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), errNoStream.Error())
}

// Only JetStream's own word that a message is stored counts.
func TestOddConfirmations(t *testing.T) {
	s := newSystem(t)
	log := s.slowLog(t)
	from := s.sender(t)
	for _, odd := range []string{"", "+OK", "{}", "null", `{"stream":"X"}`, `{"stream":"","seq":1}`, `{"error":{"code":500,"description":"odd"}}`} {
		from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1}))
		require.NoError(t, log.take(t).Respond([]byte(odd)))
		a := answer(t, from.answer(t))
		require.Equal(t, frame.LogError, a.Code, odd)
		require.True(t, a.Retry)
	}
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1}))
	late := log.take(t)
	s.router.log.expire(time.Now().Add(time.Minute), errNoConfirmation)
	require.Equal(t, frame.Answer{Code: frame.LogError, Reason: errNoConfirmation.Error(), Retry: true}, answer(t, from.answer(t)))
	log.confirm(t, late) // to nobody any more
	another := s.sender(t)
	another.send(t, topology.FrameSubject("app"), encode(t, session(2), 1, event{"key", 1}))
	log.confirm(t, log.take(t))
	require.Zero(t, answer(t, another.answer(t)))
	from.none(t, s.router)
}
