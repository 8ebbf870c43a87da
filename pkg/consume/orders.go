package consume

import (
	"encoding/json"
	"fmt"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// command takes the operator's command at the head of the round. The commit that passes it only marks the list, or keeps the command
// with the list until it can be judged.
func (o *owner) command() error {
	s, r := o.shard, o.round
	it := &r.items[r.next]
	it.outcome = skipped
	r.seen = max(r.seen, r.next+1)
	m := &r.msgs[it.msg]
	c, err := frame.DecodeCommand(m.data)
	if err != nil {
		o.metrics.passedOver.Inc()
		o.cfg.Log.Warn("command passed over", "shard", o.n, "message", m.seq, "error", err)
		return nil
	}
	ch, why, err := o.order(c.Key, commandOf(c))
	if err != nil {
		return err
	}
	if ch == nil {
		o.passedOver(c.Key, commandOf(c), why)
	}
	s.order = ch
	return nil
}

// order is the change that a command makes to its key's list; nil: it is passed over, why says why.
func (o *owner) order(key string, c aside.Command) (_ *listChange, why string, err error) {
	var of named
	if l := o.shard.lists[key]; l.judges() {
		if of, err = o.named(key, &l.head, c); err != nil {
			return nil, "", err
		}
	}
	ch, why := o.shard.command(key, c, of)
	return ch, why, nil
}

// named reads the ids of a list's events that tell whether a command fits.
func (o *owner) named(key string, h *aside.Head, c aside.Command) (of named, err error) {
	if of.first, err = o.idAt(key, h.First); err != nil {
		return named{}, err
	}
	if at, ok := of.lastAt(h, c); ok {
		of.last, err = o.idAt(key, at)
	}
	return of, err
}

// idAt is the id of one event of a list.
func (o *owner) idAt(key string, index uint64) (string, error) {
	events, err := o.store.Aside(o.ctx, o.n, o.shard.version, key, index, 1)
	if err != nil {
		return "", err
	}
	if len(events) == 0 {
		return "", errMissing(o.n, key, index)
	}
	e, err := aside.DecodeEvent(events[0])
	return e.ID, err
}

// errMissing is the error of a list that lacks an event.
func errMissing(shard int, key string, index uint64) error {
	return fmt.Errorf("%w: shard %d: event %d of the list of key %.64q is missing", store.ErrTorn, shard, index, key)
}

// judgeOne judges the first command that waits for one list.
func (o *owner) judgeOne() error {
	t := o.tending
	for key := range t.judges {
		l := o.shard.lists[key]
		taken := false
		for _, ch := range t.result {
			taken = taken || ch.of == l
		}
		if taken {
			continue
		}
		c := l.head.Commands[0]
		of, err := o.named(key, &l.head, c)
		if err != nil {
			return err
		}
		ch, why := l.judgeFirst(key, of)
		switch {
		case ch == nil:
			o.plan(key, l)
			return nil
		case why != "":
			o.passedOver(key, c, why)
		}
		t.result = append(t.result, ch)
		return nil
	}
	return nil
}

// passedOver tells of a command that was not carried out.
func (o *owner) passedOver(key string, c aside.Command, why string) {
	o.metrics.passedOver.Inc()
	o.cfg.Log.Warn("command passed over", "shard", o.n, keyHash(key), printableKey(key), "command", c.Op.String(), "first", c.First, "why", why)
}

// notice tells a team's tools of a key that is parked.
type notice struct {
	Key      string    `json:"key"`
	Shard    int       `json:"shard"`
	ID       string    `json:"id"` // of the event that failed
	Error    string    `json:"error"`
	Attempts uint64    `json:"attempts"`
	Time     time.Time `json:"time"`
}

// notify publishes a notice of a key that is parked, once.
func (o *owner) notify(key string, l *list) {
	id, err := o.idAt(key, l.head.First)
	if err != nil {
		return // the shard's next call finds out why
	}
	b, _ := json.Marshal(notice{Key: key, Shard: o.n, ID: id, Error: l.head.Error, Attempts: l.head.Attempts, Time: l.head.Last.UTC()})
	if err := o.nc.Publish(topology.NoticeSubject(o.cfg.App, "parked"), b); err != nil {
		o.cfg.Log.Debug("notice not sent", "shard", o.n, "error", err)
	}
}
