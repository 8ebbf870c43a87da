package send

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

func TestSubjectAndHeader(t *testing.T) {
	for key, subject := range map[string]string{
		"account-7":    "app.in.event.account-7",
		"eu.account.7": "app.in.event.eu.account.7",
		"größe":        "app.in.event.größe",
		"a b":          "app.in.event._",
		"a\tb":         "app.in.event._",
		"a\x00b":       "app.in.event._",
		".a":           "app.in.event._",
		"a..b":         "app.in.event._",
		"a.":           "app.in.event._",
		"*":            "app.in.event._",
		"a.>":          "app.in.event._",
		"a*b":          "app.in.event.a*b",
	} {
		msg, err := message("app", Event{Key: key})
		require.NoError(t, err, key)
		require.Equal(t, subject, msg.Subject, key)
		require.Equal(t, key, msg.Header.Get("Key"))
	}
}

func TestBadEventsAreRefusedBeforeTheyLeave(t *testing.T) {
	for key, says := range map[string]string{
		"":                       "event has no key",
		strings.Repeat("k", 513): "key is too long: 513 bytes, at most 512",
		"\xff":                   "key is not UTF-8",
		"a\nb":                   "line break",
		" a":                     "space at an end",
	} {
		_, err := message("app", Event{Key: key})
		require.ErrorContains(t, err, says)
	}
	_, err := message("app", Event{Key: "k", Data: make([]byte, 512<<10)})
	require.ErrorContains(t, err, "event is too large: 524289 bytes")
}

func TestAnswers(t *testing.T) {
	for body, want := range map[string]struct{ stored, says string }{
		`{"stream":"APP_1_0","seq":42}`:                             {"stored in stream APP_1_0 at sequence 42", ""},
		`{"stream":"APP_1_0","seq":42,"duplicate":true}`:            {"stored already, in stream APP_1_0 at sequence 42", ""},
		`{"error":{"code":503,"description":"the stream is full"}}`: {"", "refused (503): the stream is full"},
		`{"stream":"APP_1_0","seq":0,"error":{"code":400}}`:         {"", "refused (400)"},
		`hello`: {"", `not a confirmation: "hello"`},
		`{}`:    {"", "names no stream"},
	} {
		stored, err := answer([]byte(body))
		if want.says != "" {
			require.ErrorContains(t, err, want.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want.stored, stored.String())
	}
}

func TestSendOverNATS(t *testing.T) {
	nc := testkit.NATS(t).Conn
	_, err := Send(t.Context(), nc, "app", Event{Key: "k", Data: []byte("1")})
	require.ErrorContains(t, err, "no router of app app is listening")

	got := make(chan *nats.Msg, 2)
	sub, err := nc.Subscribe("app.in.event.>", func(m *nats.Msg) {
		got <- m
		if string(m.Data) != "silence" {
			_ = m.Respond([]byte(`{"stream":"APP_1_0","seq":3}`))
		}
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()

	stored, err := Send(t.Context(), nc, "app", Event{Key: "my key", Data: []byte(`{"amount":5}`)})
	require.NoError(t, err)
	require.Equal(t, Stored{Stream: "APP_1_0", Seq: 3}, stored)
	m := <-got
	require.Equal(t, "app.in.event._", m.Subject)
	require.Equal(t, "my key", m.Header.Get("Key"))
	require.Equal(t, `{"amount":5}`, string(m.Data))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = Send(ctx, nc, "app", Event{Key: "k", Data: []byte("silence")})
	require.ErrorContains(t, err, "may be stored or not")
}

// A stream on the subject of events confirms what no router has taken. Only the log's word counts.
func TestStreamThatIsNotTheLog(t *testing.T) {
	nc := testkit.NATS(t).Conn
	js, err := nc.JetStream()
	require.NoError(t, err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "ARCHIVE", Subjects: []string{"app.in.>"}})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = Send(ctx, nc, "app", Event{Key: "k"})
	require.ErrorContains(t, err, "only stream ARCHIVE has confirmed the event, which is not the log of app app: is a router running?")

	sub, err := nc.Subscribe("app.in.event.>", func(m *nats.Msg) {
		confirmed, err := js.GetLastMsg("ARCHIVE", m.Subject) // so that the archive answers first
		if err != nil || confirmed == nil {
			t.Error(err)
		}
		_ = m.Respond([]byte(`{"stream":"APP_1_0","seq":3}`))
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	stored, err := Send(t.Context(), nc, "app", Event{Key: "k"})
	require.NoError(t, err)
	require.Equal(t, Stored{Stream: "APP_1_0", Seq: 3}, stored)

	_, err = js.UpdateStream(&nats.StreamConfig{Name: "ARCHIVE", Subjects: []string{"app.in.>"}, MaxMsgs: 1, Discard: nats.DiscardNew})
	require.NoError(t, err)
	stored, err = Send(t.Context(), nc, "app", Event{Key: "k"})
	require.NoError(t, err, "what the archive refuses is nobody's business")
	require.Equal(t, "APP_1_0", stored.Stream)
}

// The same id under two keys is two events.
func TestIDAndTypeAreHeaders(t *testing.T) {
	a, err := message("app", Event{Key: "alice", Type: "paid", ID: "id-1", Data: []byte("1")})
	require.NoError(t, err)
	require.Equal(t, nats.Header{"Key": {"alice"}, "Type": {"paid"}, "Nats-Msg-Id": {"id-1 alice"}}, a.Header)
	b, err := message("app", Event{Key: "bob", ID: "id-1"})
	require.NoError(t, err)
	require.NotEqual(t, a.Header.Get("Nats-Msg-Id"), b.Header.Get("Nats-Msg-Id"))
}

func TestKindsOfErrors(t *testing.T) {
	nc := testkit.NATS(t).Conn
	_, err := Send(t.Context(), nc, "app", Event{Key: "k"})
	require.ErrorIs(t, err, ErrNoRouter)
	_, err = answer([]byte(`{"error":{"code":400,"description":"key is not UTF-8"}}`))
	refusal := (*Refusal)(nil)
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 400, refusal.Code)
}
