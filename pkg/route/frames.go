package route

import (
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// framesOf returns the handler of one subscription's frames.
func (r *Router) framesOf() nats.MsgHandler {
	view := new(frame.Frame) // reused: only the subscription's goroutine calls the handler
	return func(m *nats.Msg) { r.takeFrame(view, m) }
}

// takeFrame routes one frame. Publishers send an empty one, which is malformed, to find routers: it is not counted as refused.
func (r *Router) takeFrame(view *frame.Frame, m *nats.Msg) {
	if err := view.Decode(m.Data); err != nil {
		refusal := frame.Refusal(err)
		if len(m.Data) == 0 {
			r.answer(m.Reply, refusal)
		} else {
			r.refuse(m.Reply, refusal)
		}
		return
	}
	seq := view.Events[0].Seq
	term, valid := r.permit.Valid()
	if !valid {
		r.refuse(m.Reply, frame.Answer{Code: frame.Closing, Reason: r.noPermit().Error(), Retry: true, Seq: seq})
		return
	}
	if age, ok := gather.Age(view.Session, r.permit.BrokerTime()); !ok {
		r.refuse(m.Reply, frame.Answer{Code: frame.SessionTooOld, Seq: seq, Reason: fmt.Sprintf(
			"session was born %s from the broker's time, at most %s are allowed: is the publisher's clock off?",
			age.Round(time.Second), gather.MaxSessionAge)})
		return
	}
	var buf [16]*gather.Batch
	r.mu.Lock()
	closing, g := r.closing, r.gather
	leave, ok := buf[:0], false
	if !closing {
		leave, ok = g.Add(view, m.Reply, term, leave)
	}
	r.mu.Unlock()
	switch {
	case closing:
		r.refuse(m.Reply, frame.Answer{Code: frame.Closing, Reason: "this router is stopping", Retry: true, Seq: seq})
	case !ok:
		r.refuse(m.Reply, frame.Answer{Code: frame.Busy, Reason: fmt.Sprintf("this router holds %d bytes already", r.cfg.MaxBytes), Retry: true, Seq: seq})
	default:
		r.metrics.frames.Inc()
		r.metrics.events.Add(float64(len(view.Events)))
		for _, b := range leave {
			r.store(g, b)
		}
	}
}

// store publishes a batch. When it has ended, ended publishes the shard's next one.
func (r *Router) store(g *gather.Gather, b *gather.Batch) {
	if term, valid := r.permit.Valid(); !b.May(term, valid) {
		r.ended(g, b, errNoPermit)
		return
	}
	epoch, ok := r.watcher.Current().Epoch(b.Epoch)
	if !ok {
		r.ended(g, b, errNoPermit)
		return
	}
	m := &nats.Msg{Subject: topology.WorkSubject(r.cfg.App, b.Epoch, epoch.Lane(b.Shard), b.Shard), Data: b.Data}
	b.Data = nil
	begun := time.Now()
	r.log.store(m, func(_ []byte, err error) {
		r.metrics.store.Observe(time.Since(begun).Seconds())
		r.ended(g, b, err)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	g.Reuse(m.Data) // the client library has copied it, even if the publish failed
}

var errNoPermit = errors.New("this router's permit has expired")

// ended ends a batch that is stored, or failed with err. It answers the frames that are complete now and publishes the shard's
// next batch.
func (r *Router) ended(g *gather.Gather, b *gather.Batch, err error) {
	var buf [8]*gather.Pending
	var answer []*gather.Pending
	var next *gather.Batch
	unacknowledged := 0
	term, valid := r.permit.Valid()
	r.mu.Lock()
	if err == nil {
		answer, unacknowledged, next = g.Stored(b, term, valid, buf[:0])
	} else {
		answer, next = g.Failed(b, buf[:0])
	}
	r.signal()
	r.mu.Unlock()
	if next != nil {
		r.store(g, next)
	}
	if err != nil {
		refusal := logRefusal(err)
		for _, p := range answer {
			refusal.Seq = p.Seq
			r.refuse(p.Reply, refusal)
		}
		return
	}
	r.metrics.batches.Inc()
	r.metrics.batchEvents.Observe(float64(b.Events))
	r.metrics.unacknowledged.Add(float64(unacknowledged))
	for _, p := range answer {
		r.answer(p.Reply, frame.Answer{Seq: p.Seq})
	}
}

// logRefusal is the answer to a frame that may not be stored. The publisher may always send it again.
func logRefusal(err error) frame.Answer {
	a := frame.Answer{Code: frame.LogError, Reason: err.Error(), Retry: true}
	var refused *logError
	switch {
	case errors.Is(err, errNoPermit), errors.Is(err, errStopped):
		a.Code = frame.Closing
	case errors.As(err, &refused) && refused.full():
		a.Code = frame.LogFull
	}
	return a
}

func (r *Router) refuse(reply string, a frame.Answer) {
	r.metrics.refused.WithLabelValues(a.Code.String()).Inc()
	r.cfg.Log.Debug("frame refused", "code", a.Code, "reason", a.Reason)
	r.answer(reply, a)
}

// answer answers a frame. The answer names the subject of this router alone.
func (r *Router) answer(to string, a frame.Answer) {
	r.say(&nats.Msg{Subject: to, Reply: r.own, Data: a.Append(nil)})
}

// reply answers a plain event.
func (r *Router) reply(to string, data []byte) { r.say(&nats.Msg{Subject: to, Data: data}) }

// say sends an answer. It sends none to a reply subject under which the router must not publish.
func (r *Router) say(m *nats.Msg) {
	if !topology.MayAnswer(r.cfg.App, m.Subject) {
		if m.Subject != "" {
			r.metrics.withheld.Inc()
		}
		return
	}
	if err := r.nc.PublishMsg(m); err != nil { // the publisher sends again
		r.cfg.Log.Debug("answer not sent", "error", err)
	}
}
