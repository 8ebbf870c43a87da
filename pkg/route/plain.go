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

// plainOverhead is about what the router holds of a plain event or command beside its bytes: the message with its headers.
const plainOverhead = 1024

// single is a message that the log keeps by itself: a plain event or an operator's command.
type single struct {
	kind string // frame.KindEvent or frame.KindCommand
	key  string
	sent nats.Header // by its sender
	data []byte
}

// takeEvent routes one plain event. It answers with JetStream's confirmation, or with an error in the same form.
func (r *Router) takeEvent(m *nats.Msg) {
	key, err := r.plainKey(m)
	if err != nil {
		r.refuseSingle(m.Reply, frame.KindEvent, 400, err)
		return
	}
	r.storeSingle(m, single{frame.KindEvent, key, m.Header, m.Data})
}

// storeSingle stores a message in the log of its key's shard and answers its sender.
func (r *Router) storeSingle(m *nats.Msg, s single) {
	term, valid := r.permit.Valid()
	if !valid {
		r.refuseSingle(m.Reply, s.kind, 503, r.noPermit())
		return
	}
	size := m.Size() + plainOverhead
	g, err := r.reserve(size)
	if err != nil {
		r.refuseSingle(m.Reply, s.kind, 503, err)
		return
	}
	shard := g.Shard([]byte(s.key))
	epoch, ok := r.watcher.Current().Epoch(g.Epoch())
	if !ok {
		r.release(g, size)
		r.refuseSingle(m.Reply, s.kind, 503, fmt.Errorf("epoch %d has just ended: send again", g.Epoch()))
		return
	}
	out := nats.NewMsg(topology.WorkSubject(r.cfg.App, g.Epoch(), epoch.Lane(shard), shard))
	out.Header, out.Data = s.header(frame.Place{Epoch: g.Epoch(), Shard: shard}), s.data
	r.metrics.singles[s.kind].Inc()
	r.log.store(out, func(confirmation []byte, err error) {
		r.release(g, size)
		r.singleEnded(m.Reply, s.kind, term, confirmation, err)
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

// reserve takes memory for a plain event or command, and returns where to release it.
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

// singleEnded answers a plain event or command that was taken in a term of the permit.
func (r *Router) singleEnded(reply, kind string, term uint64, confirmation []byte, err error) {
	now, valid := r.permit.Valid()
	var refused *logError
	switch {
	case errors.As(err, &refused):
		r.reply(reply, confirmation)
	case err != nil:
		r.refuseSingle(reply, kind, 503, err)
	case !valid || now != term:
		r.metrics.unacknowledged.Inc()
	default:
		r.reply(reply, confirmation)
	}
}

// release gives back that memory.
func (r *Router) release(g *gather.Gather, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.Release(bytes)
	r.signal()
}

// header keeps the application's headers and Nats-Msg-Id, and adds ours. It drops other headers that servers add or JetStream
// acts on: they have no meaning in our log. A command names its key in its body, for a header cannot carry every key.
func (s single) header(at frame.Place) nats.Header {
	out := make(nats.Header, len(s.sent)+3)
	for k, v := range s.sent {
		if !strings.HasPrefix(strings.ToLower(k), "nats-") {
			out[k] = v
		}
	}
	if id := s.sent.Get(nats.MsgIdHdr); id != "" {
		out.Set(nats.MsgIdHdr, id)
	}
	out.Set(frame.HeaderKind, s.kind)
	out.Set(frame.HeaderPlace, at.String())
	if s.kind == frame.KindEvent {
		out.Set(frame.HeaderKey, s.key)
	}
	return out
}

// refuseSingle answers a plain event or command in the form of JetStream's own refusals.
func (r *Router) refuseSingle(reply, kind string, code int, err error) {
	r.metrics.refused.WithLabelValues(kind).Inc()
	b, merr := json.Marshal(map[string]any{"error": logError{Code: code, Description: err.Error()}})
	if merr != nil {
		panic(merr) // a number and two strings
	}
	r.reply(reply, b)
}
