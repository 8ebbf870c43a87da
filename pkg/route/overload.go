package route

import (
	"errors"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

// Bounds on messages that have arrived and wait for a subscription's function, in addition to Config.MaxBytes. The router
// refuses unread messages, which is fast, before the client library would drop them silently.
const (
	maxWaiting       = 64 << 10
	maxWaitingBytes  = 16 << 20
	busyWaiting      = maxWaiting / 2
	busyWaitingBytes = maxWaitingBytes / 2
	checkEvery       = 16 // messages: between two checks of how many wait
)

// overload tells whether too many messages wait for a subscription. Only the subscription's goroutine uses it.
type overload struct {
	seen int
	busy bool
}

func (o *overload) check(pending func() (int, int, error)) bool {
	if o.seen++; o.busy || o.seen%checkEvery == 0 {
		messages, bytes, err := pending()
		o.busy = err == nil && (messages > busyWaiting || bytes > busyWaitingBytes)
	}
	return o.busy
}

// unlessOverloaded hands messages to fn, or to refuse while too many wait.
func unlessOverloaded(fn, refuse nats.MsgHandler) nats.MsgHandler {
	var o overload
	return func(m *nats.Msg) {
		if o.check(m.Sub.Pending) {
			refuse(m)
			return
		}
		fn(m)
	}
}

var errOverloaded = errors.New("this router is overloaded: send again later")

func (r *Router) shedFrame(m *nats.Msg) {
	r.refuse(m.Reply, frame.Answer{Code: frame.Busy, Reason: errOverloaded.Error(), Retry: true})
}

// shed refuses plain events, or commands.
func (r *Router) shed(kind string) nats.MsgHandler {
	return func(m *nats.Msg) { r.refuseSingle(m.Reply, kind, 503, errOverloaded) }
}
