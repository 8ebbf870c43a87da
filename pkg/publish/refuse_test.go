package publish

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.Closing, Retry: true})
	r.answer(t, <-r.got, frame.Answer{Code: frame.LogFull, Retry: true})
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(ctx), "refusals that may pass")

	h, err = p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.SessionTooOld, Reason: "your clock is off"})
	err = h.Wait(ctx)
	var a frame.Answer
	require.ErrorAs(t, err, &a)
	require.Equal(t, frame.SessionTooOld, a.Code)
	require.ErrorContains(t, err, "your clock is off")
	require.NotErrorIs(t, err, ErrUnknown, "the first attempt was refused: certainly not stored")

	h, err = p.SendAsync("alice", nil)
	require.NoError(t, err)
	<-r.got
	r.answer(t, <-r.got, frame.Answer{Code: frame.SessionTooOld})
	require.ErrorIs(t, h.Wait(ctx), ErrUnknown, "what came of the first attempt is not known")

	for _, c := range []struct {
		key  string
		data []byte
		want error
		says string
	}{
		{"", nil, ErrNoKey, ""},
		{strings.Repeat("k", 513), nil, ErrKeyTooLong, "513 bytes, at most 512"},
		{"\xff", nil, ErrKeyNotUTF8, ""},
		{"k", make([]byte, frame.MaxEventBytes), ErrEventTooLarge, "at most 524288"},
	} {
		_, err := p.SendAsync(c.key, c.data)
		require.ErrorIs(t, err, c.want)
		require.ErrorContains(t, err, c.says)
	}
	select {
	case f := <-r.got:
		t.Fatalf("a bad event was sent: %v", f.Events)
	default:
	}
}

func TestNoRouterIsWaitedFor(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	p := startPublisher(t, srv.Connect(t), Config{})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r := startRouter(t, srv.Connect(t))
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(ctx))
}

// An event that was given up tells what kept it, if a router has said so.
func TestTimeoutNamesTheLastRefusal(t *testing.T) {
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{DeliveryTimeout: time.Second})
	h, err := p.SendAsync("alice", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, frame.Answer{Code: frame.LogFull, Reason: "no room", Retry: true})
	err = h.Wait(context.Background())
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, "the last answer was: router refused (log full): no room")
	require.False(t, errors.As(err, new(frame.Answer)), "that would mean that it is not stored")
}

// A key whose event was given up sends its next one only once all below that event are resolved, with a floor above it.
func TestGivenUpEventHoldsItsKey(t *testing.T) {
	ctx := context.Background()
	srv := testkit.NATS(t)
	r := startRouter(t, srv.Connect(t))
	p := startPublisher(t, srv.Connect(t), Config{})
	send := func(key, data string) *Handle {
		h, err := p.SendAsync(key, []byte(data))
		require.NoError(t, err)
		return h
	}
	var came []string
	take := func(data string) taken { // passing over copies of others
		for {
			f := <-r.got
			before := len(came)
			for _, e := range f.Events {
				came = append(came, string(e.Data))
			}
			if slices.Contains(came[before:], data) {
				return f
			}
		}
	}
	below := send("bob", "below")
	first := take("below")
	lost := send("alice", "lost")
	take("lost")
	r.answer(t, take("lost"), frame.Answer{Code: frame.SessionTooOld}) // what came of the first attempt is not known
	require.ErrorIs(t, lost.Wait(ctx), ErrUnknown)

	next := send("alice", "next")
	other := send("carol", "other")
	f := take("other")
	require.NotContains(t, came, "next", "unless it is held it leaves before the other key's, or with it")
	r.answer(t, f, stored)
	require.NoError(t, other.Wait(ctx))
	r.answer(t, first, stored)
	require.NoError(t, below.Wait(ctx))
	f = take("next")
	require.Greater(t, f.Floor, lost.Seq())
	r.answer(t, f, stored)
	require.NoError(t, next.Wait(ctx))
}
