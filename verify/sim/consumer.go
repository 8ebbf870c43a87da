package sim

import (
	"fmt"
	"slices"
	"time"
)

// consumer is a stream's consumer, kept in the broker's memory.
type consumer struct {
	s        *stream
	p        *Process // its maker
	name     string
	deliver  string // subject; "": it is pulled
	filters  []pattern
	metaOnly bool
	beat     time.Duration
	inactive time.Duration
	next     uint64 // stream sequence
	skip     uint64 // up to here only the newest of each subject
	newest   map[string]uint64
	sent     uint64
	at       uint64 // the stream sequence of the message sent last
	active   time.Time
	beaten   time.Time
	pulls    []*pulled
}

// pulled is a request for messages.
type pulled struct {
	reply  string
	left   int
	beat   time.Duration
	beaten time.Time
}

// consumerConfig is the part of a consumer's configuration that is simulated.
type consumerConfig struct {
	Deliver  string        `json:"deliver_subject"`
	Policy   string        `json:"deliver_policy"`
	Start    uint64        `json:"opt_start_seq"`
	Filter   string        `json:"filter_subject"`
	Filters  []string      `json:"filter_subjects"`
	Beat     time.Duration `json:"idle_heartbeat"`
	Inactive time.Duration `json:"inactive_threshold"`
	MetaOnly bool          `json:"headers_only"`
}

const defaultInactive = 5 * time.Second

// consume makes a consumer.
func (b *Broker) consume(p *Process, s *stream, name string, request []byte, answer func(string, ...any)) {
	var ask struct {
		Config consumerConfig `json:"config"`
	}
	unmarshal(request, &ask)
	cfg, now := ask.Config, time.Now()
	c := &consumer{
		s: s, p: p, name: name, deliver: cfg.Deliver, metaOnly: cfg.MetaOnly, beat: cfg.Beat, inactive: cfg.Inactive,
		next: 1, active: now, beaten: now,
	}
	if c.inactive == 0 {
		c.inactive = defaultInactive
	}
	if cfg.Filter != "" {
		cfg.Filters = append(cfg.Filters, cfg.Filter)
	}
	for _, f := range cfg.Filters {
		c.filters = append(c.filters, newPattern(f))
	}
	switch cfg.Policy {
	case "all", "":
	case "last_per_subject":
		c.skip, c.newest = s.last, make(map[string]uint64)
		for subject, seq := range s.newest {
			c.newest[subject] = seq
		}
	case "by_start_sequence":
		c.next = max(1, cfg.Start)
	case "new":
		c.next = s.last + 1
	default:
		panic("sim: deliver policy " + cfg.Policy + " is not simulated")
	}
	s.consumers = append(s.consumers, c)
	answer(`{"type":"io.nats.jetstream.api.v1.consumer_create_response","stream_name":%q,"name":%q,"created":%q,`+
		`"config":{"deliver_subject":%q,"idle_heartbeat":%d},`+
		`"delivered":{"consumer_seq":0,"stream_seq":%d},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_pending":%d}`,
		s.name, name, instant(now), cfg.Deliver, cfg.Beat, c.next-1, c.pending())
	b.pump()
	if c.beat > 0 || c.deliver == "" {
		c.tick()
	}
}

// wants tells whether a message is for the consumer.
func (c *consumer) wants(m *stored) bool {
	if m == nil || m.seq <= c.skip && c.newest[m.subject] != m.seq {
		return false
	}
	return len(c.filters) == 0 || slices.ContainsFunc(c.filters, func(f pattern) bool { return f.matches(m.subject) })
}

// peek returns the next message for the consumer, or nil.
func (c *consumer) peek() *stored {
	for ; c.next <= c.s.last; c.next++ {
		if m := c.s.at(c.next); c.wants(m) {
			return m
		}
	}
	return nil
}

func (c *consumer) pending() (n int) {
	for seq := c.next; seq <= c.s.last; seq++ {
		if c.wants(c.s.at(seq)) {
			n++
		}
	}
	return n
}

// pump gives all consumers the messages that wait for them.
func (b *Broker) pump() {
	for _, s := range b.streams {
		for _, c := range s.consumers {
			for c.send() {
			}
		}
	}
}

// send gives the consumer its next message, if there is one and a subscription to take it.
func (c *consumer) send() bool {
	m := c.peek()
	if m == nil {
		return false
	}
	to := c.deliver
	if to == "" {
		c.pulls = slices.DeleteFunc(c.pulls, func(p *pulled) bool { return p.left == 0 || !c.s.b.listens(p.reply) })
		if len(c.pulls) == 0 {
			return false
		}
		to = c.pulls[0].reply
		c.pulls[0].left--
		c.pulls[0].beaten = time.Now()
	} else if !c.s.b.listens(to) {
		return false
	}
	c.next = m.seq + 1
	c.sent++
	c.at = m.seq
	c.active, c.beaten = time.Now(), time.Now()
	header, data := m.header, m.data
	if c.metaOnly {
		if len(header) == 0 {
			header = []byte("NATS/1.0\r\n\r\n")
		}
		header, data = append(header[:len(header)-2:len(header)-2], fmt.Sprintf("Nats-Msg-Size: %d\r\n\r\n", len(data))...), nil
	}
	reply := fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.%d.%d", c.s.name, c.name, m.seq, c.sent, m.at.UnixNano(), c.pending())
	c.s.b.deliver(to, m.subject, reply, header, data)
	return true
}

// pull takes a request for messages.
func (s *stream) pull(name string, o op) {
	for _, c := range s.consumers {
		if c.name != name {
			continue
		}
		var ask struct {
			Batch   int           `json:"batch"`
			Expires time.Duration `json:"expires"`
			Beat    time.Duration `json:"idle_heartbeat"`
		}
		unmarshal(o.data, &ask)
		p := &pulled{reply: o.reply, left: max(1, ask.Batch), beat: ask.Beat, beaten: time.Now()}
		c.active = time.Now()
		c.pulls = append(c.pulls, p)
		if ask.Expires > 0 {
			s.b.w.After(ask.Expires, func() { c.expire(p) })
		}
		for c.send() {
		}
		return
	}
	s.b.deliver(o.reply, o.reply, "", []byte("NATS/1.0 503\r\n\r\n"), nil)
}

func (c *consumer) expire(p *pulled) {
	i := slices.Index(c.pulls, p)
	if i < 0 || !slices.Contains(c.s.consumers, c) {
		return
	}
	c.pulls = slices.Delete(c.pulls, i, i+1)
	over := fmt.Appendf(nil, "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: %d\r\nNats-Pending-Bytes: 0\r\n\r\n", p.left)
	c.s.b.deliver(p.reply, p.reply, "", over, nil)
}

// tick sends heartbeats, and removes a consumer that has had no subscription for too long.
func (c *consumer) tick() {
	if !slices.Contains(c.s.consumers, c) {
		return
	}
	b, now := c.s.b, time.Now()
	beats := func(to string) {
		b.deliver(to, to, "", fmt.Appendf(nil, "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: %d\r\nNats-Last-Stream: %d\r\n\r\n", c.sent, c.at), nil)
	}
	every := c.beat
	if c.deliver != "" {
		if b.listens(c.deliver) {
			c.active = now
			if now.Sub(c.beaten) >= c.beat {
				beats(c.deliver)
				c.beaten = now
			}
		}
	} else {
		every = 500 * time.Millisecond
		for _, p := range c.pulls {
			if !b.listens(p.reply) {
				continue
			}
			c.active = now
			if p.beat > 0 && now.Sub(p.beaten) >= p.beat {
				beats(p.reply)
				p.beaten = now
			}
		}
	}
	if now.Sub(c.active) >= c.inactive {
		c.s.consumers = slices.DeleteFunc(c.s.consumers, func(o *consumer) bool { return o == c })
		return
	}
	b.w.After(every, c.tick)
}
