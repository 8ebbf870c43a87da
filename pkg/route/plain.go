package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// plainOverhead is about what the router holds of a plain event beside its bytes: the message with its headers.
const plainOverhead = 1024

// takeEvent routes one plain event. It answers with JetStream's confirmation, or with an error in the same form.
func (r *Router) takeEvent(m *nats.Msg) {
	key, err := r.plainKey(m)
	if err != nil {
		r.refuseEvent(m.Reply, 400, err)
		return
	}
	term, valid := r.permit.Valid()
	if !valid {
		r.refuseEvent(m.Reply, 503, r.noPermit())
		return
	}
	size := m.Size() + plainOverhead
	g, err := r.reserve(size)
	if err != nil {
		r.refuseEvent(m.Reply, 503, err)
		return
	}
	shard := g.Shard([]byte(key))
	epoch, ok := r.watcher.Current().Epoch(g.Epoch())
	if !ok {
		r.release(g, size)
		r.refuseEvent(m.Reply, 503, fmt.Errorf("epoch %d has just ended: send again", g.Epoch()))
		return
	}
	out := nats.NewMsg(topology.WorkSubject(r.cfg.App, g.Epoch(), epoch.Lane(shard), shard))
	out.Header, out.Data = plainHeader(m.Header, key, frame.Place{Epoch: g.Epoch(), Shard: shard}), m.Data
	r.metrics.plain.Inc()
	r.log.store(out, func(confirmation []byte, err error) {
		r.release(g, size)
		r.eventEnded(m.Reply, term, confirmation, err)
	})
}

// plainKey returns a plain event's key, or an error if the event cannot be stored as its sender meant it.
func (r *Router) plainKey(m *nats.Msg) (string, error) {
	if err := checkHeaders(m); err != nil {
		return "", err
	}
	key := m.Header.Get(frame.HeaderKey)
	if key == "" {
		if len(m.Header.Values(frame.HeaderKey)) > 0 {
			return "", frame.ErrNoKey
		}
		key = m.Subject[len(topology.EventSubject(r.cfg.App))+1:]
	}
	if err := frame.CheckKey(key); err != nil {
		return "", err
	}
	if strings.ContainsAny(key, "\r\n") || strings.TrimSpace(key) != key {
		return "", fmt.Errorf(
			"key %q begins or ends with a blank or holds a line break: a plain event's key must not; send it with the library", key)
	}
	return key, frame.CheckEventSize(m.Size() - len(m.Subject) - len(m.Reply))
}

// reserve takes memory for a plain event, and returns where to release it.
func (r *Router) reserve(size int) (*gather.Gather, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closing:
		return nil, errStopped
	case !r.gather.Reserve(size):
		return nil, fmt.Errorf("this router holds %d bytes already: send again later", r.cfg.MaxBytes)
	}
	return r.gather, nil
}

// eventEnded answers a plain event that was taken in a term of the permit.
func (r *Router) eventEnded(reply string, term uint64, confirmation []byte, err error) {
	now, valid := r.permit.Valid()
	var refused *logError
	switch {
	case errors.As(err, &refused):
		r.reply(reply, confirmation)
	case err != nil:
		r.refuseEvent(reply, 503, err)
	case !valid || now != term:
		r.metrics.unacknowledged.Inc()
	default:
		r.reply(reply, confirmation)
	}
}

// release gives back the memory reserved for a plain event.
func (r *Router) release(g *gather.Gather, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.Release(bytes)
	r.signal()
}

// plainHeader keeps the application's headers and Nats-Msg-Id, and adds ours. It drops other headers that servers add or
// JetStream acts on: they have no meaning in our log.
func plainHeader(in nats.Header, key string, at frame.Place) nats.Header {
	out := make(nats.Header, len(in)+3)
	for k, v := range in {
		if !strings.HasPrefix(strings.ToLower(k), "nats-") {
			out[k] = v
		}
	}
	if id := in.Get(nats.MsgIdHdr); id != "" {
		out.Set(nats.MsgIdHdr, id)
	}
	out.Set(frame.HeaderKind, frame.KindEvent)
	out.Set(frame.HeaderPlace, at.String())
	out.Set(frame.HeaderKey, key)
	return out
}

// refuseEvent answers a plain event in the form of JetStream's own refusals.
func (r *Router) refuseEvent(reply string, code int, err error) {
	r.metrics.refused.WithLabelValues("event").Inc()
	b, merr := json.Marshal(map[string]any{"error": logError{Code: code, Description: err.Error()}})
	if merr != nil {
		panic(merr) // a number and two strings
	}
	r.reply(reply, b)
}
