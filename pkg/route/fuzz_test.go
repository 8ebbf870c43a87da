package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// onTheWire is how nats.go writes headers, or nil if it refuses to: a client's, and then ours into the log.
func onTheWire(h nats.Header) []byte {
	var b bytes.Buffer
	b.WriteString("NATS/1.0\r\n")
	for k, values := range h {
		for _, c := range k {
			if c <= ' ' || c >= 0x7f || c == ':' {
				return nil
			}
		}
		for _, v := range values {
			b.WriteString(k + ": " + strings.NewReplacer("\r", " ", "\n", " ").Replace(textproto.TrimString(v)) + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// FuzzPlainHeader takes the headers of a plain event from any client, and reads the stored message as a worker does.
func FuzzPlainHeader(f *testing.F) {
	for _, h := range []nats.Header{
		{}, {"Key": {"a b"}, "Type": {"paid"}, "Mine": {"1", "2"}},
		{"Kind": {"end"}, "Nats-Msg-Id": {"id-1"}, "Nats-Rollup": {"all"}, "nats-expected-last-sequence": {"78"}, "Status": {"100"}, "description": {"x"}},
		{"Key": {"a"}, "KEY": {"b"}, "Nats-Msg-Id": {"a "}, "Nats-Request-Info": {"{}"}, "kind": {"x"}},
	} {
		f.Add(onTheWire(h), "key")
	}
	f.Add([]byte("NATS/1.0 503 No Responders\nKey:\tx\n\n"), "ключ")
	f.Add([]byte("NATS/1.0\r\nMine: a\rNats-Rollup: all\r\nNats-Msg-Id: a\r\nNats-Msg-Id: b\r\n\r\n"), "a.b")
	f.Fuzz(func(t *testing.T, wire []byte, key string) {
		in, err := nats.DecodeHeadersMsg(wire)
		if err != nil || frame.CheckKey(key) != nil || strings.ContainsAny(key, "\r\n") || strings.TrimSpace(key) != key {
			return // the client drops it, or we refuse it
		}
		if checkHeaders(&nats.Msg{Header: in}) != nil {
			return
		}
		before := len(in)
		out := single{kind: frame.KindEvent, key: key, sent: in}.header(frame.Place{Epoch: 1, Shard: 2})
		require.Len(t, in, before)
		require.LessOrEqual(t, len(out), len(in)+3)
		stored := onTheWire(out)
		require.NotNil(t, stored, "the client would refuse to send it")
		h, err := nats.DecodeHeadersMsg(stored)
		require.NoError(t, err)
		require.Equal(t, []string{frame.KindEvent}, h.Values(frame.HeaderKind))
		require.Equal(t, []string{"1.2"}, h.Values(frame.HeaderPlace))
		require.Equal(t, []string{key}, h.Values(frame.HeaderKey))
		for name, values := range h {
			lower := strings.ToLower(name)
			require.True(t, name == nats.MsgIdHdr || !strings.HasPrefix(lower, "nats-"), name)
			require.NotContains(t, []string{"Status", "Description"}, name)
			if name != frame.HeaderKind && name != frame.HeaderPlace && name != frame.HeaderKey && name != nats.MsgIdHdr {
				require.Len(t, values, len(in[name]))
			}
		}
		require.LessOrEqual(t, len(h.Values(nats.MsgIdHdr)), 1)
		require.Equal(t, bytes.Count(stored, []byte("\n")), bytes.Count(stored, []byte("\r\n")), "no line of a client's own")
		require.Equal(t, bytes.Count(stored, []byte("\r")), bytes.Count(stored, []byte("\r\n")), "no line of a client's own")
	})
}

// FuzzConfirmation reads any answer to a message that was published to the log: nothing but JetStream's own confirmation
// makes it stored.
func FuzzConfirmation(f *testing.F) {
	for _, s := range []string{
		`{"stream":"APP_1_0","seq":7}`, `{"stream":"APP_1_0","seq":7,"duplicate":true}`, `{"stream":"APP_1_0"}`, `{"seq":7}`, `{}`, `null`, ``, `+OK`,
		`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"APP_1_0","seq":7}`, `{"error":null,"stream":"s","seq":1}`,
		`{"stream":"s","seq":0}`, `{"stream":"s","seq":01}`, `{"stream":"","seq":1}`, `{"stream":"s\","seq":1}`, `{"stream":"s","seq":}`,
		`{"stream":"s","seq":18446744073709551615}`, `{"stream":"s","seq":18446744073709551616}`, `{"stream":"s","seq":1}}`,
		`{"stream":"s","seq":1,"error":{"code":503},"seq":1}`, "{\"stream\":\"\n\",\"seq\":1}", `{"stream":"s","domain":"d","seq":1}`,
	} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), "503")
	}
	f.Fuzz(func(t *testing.T, data []byte, status string) {
		const inbox = "_INBOX.x"
		calls := 0
		var confirmation []byte
		var err error
		l := &logWriter{inbox: inbox, newest: map[string]uint64{}, heard: map[string]time.Time{}, waiting: map[uint64]pending{35: {at: time.Now(), fn: func(c []byte, e error) {
			calls++
			confirmation, err = c, e
		}}}}
		m := &nats.Msg{Subject: inbox + ".z", Header: nats.Header{"Status": {status}}, Data: data}
		l.confirmed(m)
		l.confirmed(m) // the same once more changes nothing
		require.Equal(t, 1, calls)
		require.Empty(t, l.waiting)
		var refused *logError
		if err == nil || errors.As(err, &refused) {
			require.Equal(t, data, confirmation)
		} else {
			require.Nil(t, confirmation)
			return
		}
		require.NotEqual(t, "503", status)
		var ack struct {
			Stream string
			Seq    uint64
			Error  *logError
		}
		require.NoError(t, json.Unmarshal(data, &ack))
		require.Equal(t, err == nil, ack.Error == nil)
		if err == nil {
			require.NotEmpty(t, ack.Stream)
			require.NotZero(t, ack.Seq)
		} else {
			a := logRefusal(err)
			require.True(t, a.Retry)
			require.NotEqual(t, frame.Stored, a.Code)
		}
	})
}
