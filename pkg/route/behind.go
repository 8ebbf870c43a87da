package route

import (
	"errors"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

// What has come and waits for a subscription's function is bounded beside Config.MaxBytes. Before the client would drop
// messages silently, the router refuses them unread, which is fast.
const (
	maxWaiting       = 64 << 10
	maxWaitingBytes  = 16 << 20
	busyWaiting      = maxWaiting / 2
	busyWaitingBytes = maxWaitingBytes / 2
	behindEvery      = 16 // messages: between two looks at what waits
)

// plainOverhead is about what is held of a plain event beside its bytes: the message with its headers.
const plainOverhead = 1024

// behind tells whether too much waits for a subscription. It is used by the subscription's goroutine only.
type behind struct {
	seen int
	busy bool
}

func (b *behind) look(pending func() (int, int, error)) bool {
	if b.seen++; b.busy || b.seen%behindEvery == 0 {
		messages, bytes, err := pending()
		b.busy = err == nil && (messages > busyWaiting || bytes > busyWaitingBytes)
	}
	return b.busy
}

// unlessBehind hands messages to fn, or to refuse while too many wait.
func unlessBehind(fn, refuse nats.MsgHandler) nats.MsgHandler {
	var b behind
	return func(m *nats.Msg) {
		if b.look(m.Sub.Pending) {
			refuse(m)
			return
		}
		fn(m)
	}
}

var errBehind = errors.New("more has come than this router can take: send again later")

func (r *Router) refuseFrameBehind(m *nats.Msg) {
	r.refuse(m.Reply, frame.Answer{Code: frame.Busy, Reason: errBehind.Error(), Retry: true})
}

func (r *Router) refuseEventBehind(m *nats.Msg) { r.refuseEvent(m.Reply, 503, errBehind) }
