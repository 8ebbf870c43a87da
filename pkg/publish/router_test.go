package publish

import (
	"errors"
	"testing"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// takesFrames is a subscription on the routers' subject and on that of answerAsRouter.
const takesFrames = appname.Default + ".in.>"

// router is the other end: it takes frames and answers as the test tells it to.
type router struct {
	nc  *nats.Conn
	sub *nats.Subscription
	got chan taken
}

type taken struct {
	frame.Frame
	m *nats.Msg
}

func startRouter(t *testing.T, nc *nats.Conn) *router {
	r := &router{nc: nc, got: make(chan taken, 1000)}
	var err error
	r.sub, err = nc.Subscribe(takesFrames, func(m *nats.Msg) {
		if asksWhoIsThere(t, m) {
			return
		}
		var f frame.Frame
		if err := f.Decode(m.Data); err != nil {
			t.Errorf("publisher sent a bad frame: %v", err)
		}
		r.got <- taken{f, m}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return r
}

// asksWhoIsThere answers an empty frame, as a router does.
func asksWhoIsThere(t *testing.T, m *nats.Msg) bool {
	if len(m.Data) > 0 {
		return false
	}
	answerAsRouter(t, m, frame.Answer{Code: frame.Malformed})
	return true
}

func (r *router) answer(t *testing.T, f taken, a frame.Answer) { answerAsRouter(t, f.m, a) }

// answerAsRouter answers a message as a router does.
func answerAsRouter(t *testing.T, m *nats.Msg, a frame.Answer) {
	var f frame.Frame
	if f.Decode(m.Data) == nil {
		a.Seq = f.Events[0].Seq
	}
	said(t, m.RespondMsg(&nats.Msg{Reply: topology.FrameSubject(appname.Default) + ".test", Data: a.Append(nil)}))
}

// said requires that an answer was sent, unless the test has ended, and with it the connection.
func said(t *testing.T, err error) {
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}

var stored = frame.Answer{}
