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
	l := o.shard.lists[key]
	if l == nil || !l.stored {
		_, why = judge(nil, c, "", "")
		return nil, why, nil
	}
	verdict := keepBack
	if len(l.head.Commands) == 0 {
		if verdict, why, err = o.judge(key, &l.head, c); err != nil {
			return nil, "", err
		}
	}
	ch := &listChange{key: key, of: l, left: true}
	switch verdict {
	case carryOut:
		ch.head = marked(l.head, c)
	case keepBack:
		var ok bool
		if ch.head, ok = withCommand(l.head, c); !ok {
			return nil, fmt.Sprintf("%d commands wait for its list already", aside.MaxCommands), nil
		}
		if len(l.head.Commands) == 0 {
			l.judged = l.head.First + 1
		}
	default:
		return nil, why, nil
	}
	return ch, "", nil
}

// judge reads the events that a command names, and judges it.
func (o *owner) judge(key string, h *aside.Head, c aside.Command) (_ judgement, why string, err error) {
	first, err := o.idAt(key, h.First)
	if err != nil {
		return 0, "", err
	}
	last := ""
	if c.First == first && c.Count >= 1 && c.Count <= h.Len() {
		if last, err = o.idAt(key, h.First+c.Count-1); err != nil {
			return 0, "", err
		}
	}
	verdict, why := judge(h, c, first, last)
	return verdict, why, nil
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
		verdict, why, err := o.judge(key, &l.head, c)
		if err != nil {
			return err
		}
		ch := &listChange{key: key, of: l, left: true, head: l.head}
		ch.head.Commands = l.head.Commands[1:]
		switch verdict {
		case keepBack:
			l.judged = l.head.First + 1
			o.plan(key, l)
			return nil
		case carryOut:
			ch.head = marked(ch.head, c)
		default:
			o.passedOver(key, c, why)
		}
		l.judged = 0
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
