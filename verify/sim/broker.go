package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Broker is a NATS server, as far as our processes use it: subjects with queue groups, the no-responders answer, streams with
// their acknowledgements, buckets, and ordered consumers.
type Broker struct {
	// Stray is called for each message to be stored. If it returns true, the message follows an end: the broker confirms it,
	// and no consumer sees it.
	Stray func(p *Process, subject string) bool
	// Stored is called for each message that was stored, with the time at which the process sent it.
	Stored func(p *Process, sent time.Time, subject string, header []byte)
	// Slow returns how long a stream takes to confirm, in addition to the network.
	Slow func() time.Duration

	w       *World
	down    bool
	last    int
	conns   []*conn
	subs    []*sub // of all connections, by age
	inboxes map[string]string
	streams []*stream
}

type sub struct {
	c       *conn
	sid     string
	pattern pattern
	queue   string
	max     int // then it ends; 0: never
	got     int
}

func newBroker(w *World) *Broker { return &Broker{w: w, inboxes: make(map[string]string)} }

func (b *Broker) accept(c *conn) {
	if b.down || c.p.dead {
		c.breakOff()
		return
	}
	b.last++
	c.id = b.last
	b.conns = append(b.conns, c)
	c.p.conn, c.p.up = c, time.Now()
	b.w.Say("%s connects", c.p.Name)
	c.down.push(func() { c.feed([]byte(info)) })
}

// drop forgets a connection.
func (b *Broker) drop(c *conn) {
	i := slices.Index(b.conns, c)
	if i < 0 {
		return
	}
	b.conns = slices.Delete(b.conns, i, i+1)
	b.subs = slices.DeleteFunc(b.subs, func(s *sub) bool { return s.c == c })
	if c.p.conn == c {
		c.p.conn = nil
	}
	c.breakOff()
	b.w.Say("%s is not connected", c.p.Name)
}

func (b *Broker) breakOff(p *Process) {
	for _, c := range slices.Clone(b.conns) {
		if c.p == p {
			b.drop(c)
		}
	}
}

// Stop breaks all connections and drops all consumers. Streams are kept.
func (b *Broker) Stop() {
	b.w.Say("the broker stops")
	b.w.Note("broker stopped")
	b.w.change(func() { b.down = true })
	for _, c := range slices.Clone(b.conns) {
		b.drop(c)
	}
	for _, s := range b.streams {
		s.consumers = nil
	}
}

// Start accepts connections again.
func (b *Broker) Start() {
	b.w.Say("the broker starts")
	b.w.change(func() { b.down = false })
}

// known returns a subject with its random parts replaced: an inbox is named by its connection's process.
func (b *Broker) known(subject string) string {
	if api, ok := strings.CutPrefix(subject, "$JS.API."); ok {
		return verbOf(api)
	}
	if inbox, ok := inboxOf(subject); ok {
		return "_INBOX." + b.inboxes[inbox]
	}
	return subject
}

// inboxOf returns the random part of an inbox's subject.
func inboxOf(subject string) (inbox string, ok bool) {
	inbox, ok = strings.CutPrefix(subject, "_INBOX.")
	inbox, _, _ = strings.Cut(inbox, ".")
	return inbox, ok
}

// take executes one operation of a client.
func (b *Broker) take(c *conn, o op) {
	switch o.verb {
	case "PING":
		c.down.push(func() { c.feed([]byte("PONG\r\n")) })
	case "SUB":
		s := &sub{c: c, sid: o.sid, pattern: newPattern(o.subject), queue: o.queue}
		b.subs = append(b.subs, s)
		if inbox, ok := inboxOf(o.subject); ok && b.inboxes[inbox] == "" {
			b.inboxes[inbox] = c.p.Name
		}
		b.pump()
	case "UNSUB":
		b.subs = slices.DeleteFunc(b.subs, func(s *sub) bool {
			if s.c != c || s.sid != o.sid {
				return false
			}
			s.max = o.max
			return s.max == 0 || s.got >= s.max
		})
	case "PUB":
		b.publish(c, o)
	}
}

func (b *Broker) publish(c *conn, o op) {
	b.w.Say("%s: %s", c.p.Name, b.known(o.subject))
	if api, ok := strings.CutPrefix(o.subject, "$JS.API."); ok {
		b.request(c, api, o)
		return
	}
	stored := false
	for _, s := range b.streams {
		if s.takes(o.subject) {
			stored = true
			b.store(c, s, o)
		}
	}
	if b.deliver(o.subject, o.subject, o.reply, o.header, o.data) || stored || o.reply == "" {
		return
	}
	b.deliverTo(c, o.reply, []byte("NATS/1.0 503\r\n\r\n"))
}

// deliverTo delivers to one connection only.
func (b *Broker) deliverTo(c *conn, subject string, header []byte) {
	for _, s := range b.subs {
		if s.c == c && s.pattern.matches(subject) {
			b.give(s, subject, "", header, nil)
			return
		}
	}
}

// deliver gives a message to the subscriptions of a subject; they see the subject shown. It returns false if there were none.
func (b *Broker) deliver(subject, shown, reply string, header, data []byte) bool {
	var to []*sub
	groups := make(map[string][]*sub)
	var names []string
	for _, s := range b.subs {
		switch {
		case !s.pattern.matches(subject):
		case s.queue == "":
			to = append(to, s)
		default:
			if groups[s.queue] == nil {
				names = append(names, s.queue)
			}
			groups[s.queue] = append(groups[s.queue], s)
		}
	}
	for _, name := range names {
		group := groups[name]
		to = append(to, group[b.w.Rand.IntN(len(group))])
	}
	for _, s := range to {
		b.give(s, shown, reply, header, data)
	}
	return len(to) > 0
}

func (b *Broker) listens(subject string) bool {
	return slices.ContainsFunc(b.subs, func(s *sub) bool { return s.pattern.matches(subject) })
}

func (b *Broker) give(s *sub, subject, reply string, header, data []byte) {
	m := make([]byte, 0, len("HMSG     \r\n\r\n")+len(subject)+len(s.sid)+len(reply)+len(header)+len(data)+16)
	if len(header) > 0 {
		m = append(m, 'H')
	}
	m = append(append(append(append(append(m, "MSG "...), subject...), ' '), s.sid...), ' ')
	if reply != "" {
		m = append(append(m, reply...), ' ')
	}
	if len(header) > 0 {
		m = append(strconv.AppendInt(m, int64(len(header)), 10), ' ')
	}
	m = append(strconv.AppendInt(m, int64(len(header)+len(data)), 10), "\r\n"...)
	m = append(append(append(m, header...), data...), "\r\n"...)
	s.c.down.push(func() { s.c.feed(m) })
	if s.got++; s.max > 0 && s.got >= s.max {
		b.subs = slices.DeleteFunc(b.subs, func(o *sub) bool { return o == s })
	}
}

// pattern is a subject with wildcards, of a subscription, a stream or a consumer.
type pattern struct {
	text   string
	tokens []string // nil when it has no wildcards
}

func newPattern(text string) pattern {
	p := pattern{text: text}
	if strings.ContainsAny(text, "*>") {
		p.tokens = strings.Split(text, ".")
	}
	return p
}

// matches tells whether the pattern covers a subject.
func (p pattern) matches(subject string) bool {
	if p.tokens == nil {
		return p.text == subject
	}
	for i, t := range p.tokens {
		if t == ">" {
			return subject != ""
		}
		token, rest, more := strings.Cut(subject, ".")
		if t != "*" && t != token {
			return false
		}
		if i == len(p.tokens)-1 {
			return !more
		}
		if !more {
			return false
		}
		subject = rest
	}
	return false
}
