package publish

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// What answers frames and is no router does not make a publisher believe anything: its events wait for a router.
func TestOnlyRoutersAreBelieved(t *testing.T) {
	answer := func(reply string, a frame.Answer) func(*nats.Msg) error {
		return func(m *nats.Msg) error { return m.RespondMsg(&nats.Msg{Reply: reply, Data: a.Append(nil)}) }
	}
	own := topology.FrameSubject(appname.Default) + ".other"
	for name, respond := range map[string]func(*nats.Msg) error{
		"an empty answer":            func(m *nats.Msg) error { return m.Respond(nil) },
		"a text":                     func(m *nats.Msg) error { return m.Respond([]byte("OK")) },
		"the frame":                  func(m *nats.Msg) error { return m.Respond(m.Data) },
		"the frame, forwarded":       func(m *nats.Msg) error { return m.RespondMsg(&nats.Msg{Reply: m.Reply, Data: m.Data}) },
		"with a reply of its own":    answer("_INBOX.other", frame.Answer{Seq: 1}),
		"empty, of a router":         answer(own, frame.Answer{}),
		"of a router, another frame": answer(own, frame.Answer{Seq: 7}),
		"a refusal of another frame": answer(own, frame.Answer{Code: frame.SessionTooOld, Seq: 7}),
		"a refusal by nobody":        answer("", frame.Answer{Code: frame.Malformed}),
		"of the group":               answer(topology.FrameSubject(appname.Default), frame.Answer{Seq: 1}),
		"of a subject below":         answer(own+".x", frame.Answer{Seq: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := testkit.NATS(t)
			tool := srv.Connect(t)
			_, err := tool.Subscribe(topology.FrameSubject(appname.Default), func(m *nats.Msg) {
				said(t, respond(m))
			})
			require.NoError(t, err)
			require.NoError(t, tool.Flush())
			r := startRouter(t, srv.Connect(t))
			var log logged
			p := startPublisher(t, srv.Connect(t), Config{Log: log.logger()})
			h, err := p.SendAsync("k", nil)
			require.NoError(t, err)
			f := <-r.got
			again := <-r.got // half a second later: nothing that came meanwhile was an answer
			require.Equal(t, f.m.Data, again.m.Data)
			require.ErrorIs(t, h.Err(), ErrPending)
			r.answer(t, again, stored)
			require.NoError(t, h.Wait(context.Background()))
			require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("answer ignored: it did not come from a router")), log.String())
		})
	}
}

// A stream on the routers' subject answers each frame too. It is no router, and neither is one that takes a share of their group.
func TestStreamOnTheRoutersSubject(t *testing.T) {
	srv := testkit.NATS(t)
	js, err := srv.Conn.JetStream()
	require.NoError(t, err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "ARCHIVE", Subjects: []string{appname.Default + ".in.>"}})
	require.NoError(t, err)
	var log logged
	p := startPublisher(t, srv.Connect(t), Config{DeliveryTimeout: time.Second, Log: log.logger()})
	requireUnknown(t, p.Send(context.Background(), "k", nil)) // somebody has taken it, and nobody stored it
	require.Contains(t, log.String(), "ARCHIVE")
}

// A tool in the routers' group takes half of the frames. They are sent again, to a router.
func TestToolInTheRoutersGroup(t *testing.T) {
	const events = 200
	srv := testkit.NATS(t)
	var mu sync.Mutex
	in := make(map[string]bool)
	join := func(take func(*nats.Msg)) {
		nc := srv.Connect(t)
		_, err := nc.QueueSubscribe(topology.FrameSubject(appname.Default), "router", take)
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
	}
	takeFrame := func(m *nats.Msg) {
		if asksWhoIsThere(t, m) {
			return
		}
		var f frame.Frame
		if err := f.Decode(m.Data); err != nil {
			t.Error(err)
		}
		mu.Lock()
		for _, e := range f.Events {
			in[string(e.Data)] = true
		}
		mu.Unlock()
		answerAsRouter(t, m, stored)
	}
	join(func(m *nats.Msg) { _ = m.Respond(nil) })
	join(takeFrame)
	router := srv.Connect(t)
	_, err := router.Subscribe(topology.FrameSubject(appname.Default)+".test", takeFrame)
	require.NoError(t, err)
	require.NoError(t, router.Flush())

	p := startPublisher(t, srv.Connect(t), Config{Log: new(logged).logger()})
	for i := range events {
		_, err := p.SendAsync(fmt.Sprint("key-", i), fmt.Append(nil, i))
		require.NoError(t, err)
		if i%10 == 0 {
			require.NoError(t, p.Flush(context.Background()))
		}
	}
	require.NoError(t, p.Flush(context.Background()))
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, in, events)
}
