package route

import (
	"fmt"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

// takeCommand routes an operator's command about a parked key to the log of the key's shard, behind all events that were stored
// before it. It answers as takeEvent does. The shard's owner may still pass the command over, if the key's list has changed.
func (r *Router) takeCommand(m *nats.Msg) {
	c, err := readCommand(m)
	if err != nil {
		r.refuseSingle(m.Reply, frame.KindCommand, 400, err)
		return
	}
	r.storeSingle(m, single{frame.KindCommand, c.Key, m.Header, c.Append(nil)})
}

// readCommand returns the command in a message, or an error if it cannot be stored as its sender meant it.
func readCommand(m *nats.Msg) (frame.Command, error) {
	if err := checkHeaders(m); err != nil {
		return frame.Command{}, err
	}
	if _, ok := m.Header[frame.HeaderKey]; ok {
		return frame.Command{}, fmt.Errorf("header %s: a command names its key in its body", frame.HeaderKey)
	}
	if _, ok := m.Header[frame.HeaderKind]; ok {
		return frame.Command{}, fmt.Errorf("header %s is the router's own: leave it out", frame.HeaderKind)
	}
	if err := frame.CheckEventSize(m.Size() - len(m.Subject) - len(m.Reply)); err != nil {
		return frame.Command{}, err
	}
	return frame.DecodeCommand(m.Data)
}
