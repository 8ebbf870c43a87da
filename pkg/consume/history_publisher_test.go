package consume

import (
	"math"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/internal/window"
)

// source is a publisher of a history: a real window, whose frames a network loses, delays and brings to any router.
type source struct {
	h      *history
	n      byte
	skew   time.Duration // of its clock
	w      *window.Window
	cut    bool // its connection takes nothing
	left   int
	posted []*posted
}

// posted is an event that a source has taken. Its tag, the place in source.posted, says in which order.
type posted struct {
	window.Event
	key     string
	tag     uint16
	outcome resolution
}

type resolution int

const (
	unresolved resolution = iota
	acknowledged
	unknown // given up, may be stored
	never   // certainly not stored
)

// data is what the event carries: who sent it, and its tag.
func (s *source) data(tag uint16) []byte { return []byte{s.n, byte(tag >> 8), byte(tag)} }

func tagOf(data []byte) uint16 { return uint16(data[1])<<8 | uint16(data[2]) }

func (h *history) newSource(n byte) *source {
	s := &source{h: h, n: n, left: 5 + h.rand.IntN(20)}
	if h.one(4) { // publishers' clocks may be off by hours
		s.skew = []time.Duration{-5, -1, 1, 5, 13}[h.rand.IntN(5)] * time.Hour
		if h.one(3) { // so that routers soon refuse its session
			s.skew = -gather.MaxSessionAge + time.Duration(h.rand.IntN(20))*time.Second
		}
	}
	s.cut = h.one(20)
	s.w = window.New(window.Limits{Events: 1 + h.rand.IntN(12), Bytes: math.MaxInt32, Timeout: 30 * time.Second},
		frame.Session{Publisher: frame.PublisherID{n}, Generation: 1, Birth: s.clock().UnixMilli()})
	return s
}

func (s *source) clock() time.Time { return s.h.now.Add(s.skew) }

// work is what a publisher does now and then.
func (s *source) work() {
	for s.left > 0 && s.h.one(2) {
		s.post()
	}
	if len(s.posted) > 0 && s.h.one(4) {
		s.withdraw(pick(s.h, s.posted))
	}
	s.pump()
}

// withdraw is what a publisher does when the context of an event has ended.
func (s *source) withdraw(p *posted) {
	if p.outcome != unresolved {
		return
	}
	if s.w.Withdraw(&p.Event) {
		s.h.say("publisher %d withdraws tag %d", s.n, p.tag)
		s.h.note("withdrawn")
		s.resolve([]*window.Event{&p.Event}, never)
	}
}

func (s *source) post() {
	e := &posted{key: string([]byte{'k', byte('0' + s.h.rand.IntN(s.h.keys))}), tag: uint16(len(s.posted))}
	e.Of = e
	var err error
	if e.Draft, err = frame.NewDraft(e.key, s.data(e.tag), "", nil, true); err != nil {
		panic(err)
	}
	if s.w.Full(e.Draft.Size()) {
		return
	}
	s.left--
	s.posted = append(s.posted, e)
	s.w.Add(&e.Event, e.key, s.clock())
}

// pump gives up, sends again, and sends.
func (s *source) pump() {
	o := s.w.Late(s.clock())
	for _, f := range o.GivenUp {
		s.h.say("publisher %d gives up frame %d", s.n, f.ID)
		if f.MayBeStored() {
			s.resolve(f.Events, unknown)
		} else {
			s.h.note("taken by nobody")
			s.resolve(f.Events, never)
		}
	}
	s.resolve(o.Expired, never)
	s.h.count["not sent"] += len(o.Expired)
	s.h.count["given up"] += len(o.GivenUp)
	s.h.count["sent again"] += len(o.Again)
	for _, f := range o.Again {
		s.send(f)
	}
	for f := s.w.Next(s.clock()); f != nil; f = s.w.Next(s.clock()) {
		s.send(f)
	}
}

func (s *source) send(f *window.Frame) {
	c := copied{from: s, frame: f.ID, attempt: f.Attempt, data: f.Data}
	s.h.sent(f.Data)
	switch {
	case s.h.one(8):
	case s.h.one(12): // no router is listening
		s.h.answers = append(s.h.answers, answer{c, frame.Answer{Code: frame.Closing, Retry: true}.Append(nil), true})
	case s.h.one(12) || s.cut && !s.h.healing: // the connection does not take it
		s.w.NotTaken(f.ID, f.Attempt)
	default:
		r := pick(s.h, s.h.routers)
		r.inbox = append(r.inbox, c)
	}
	for _, e := range f.Events {
		s.h.say("publisher %d sends frame %d attempt %d: tag %d seq %d key %s", s.n, f.ID, f.Attempt, e.Of.(*posted).tag, e.Seq, e.Of.(*posted).key)
	}
}

func (s *source) answered(c copied, a frame.Answer, nobody bool) {
	if nobody {
		s.w.NotTaken(c.frame, c.attempt)
	}
	f, outcome := s.w.Answered(c.frame, c.attempt, a, s.clock())
	s.h.say("publisher %d hears of frame %d: %s", s.n, c.frame, a.Code)
	switch outcome {
	case window.Stored:
		s.resolve(f.Events, acknowledged)
		s.h.note("acknowledged")
	case window.Refused:
		s.resolve(f.Events, never)
		s.h.note("refused")
	case window.Unknown:
		s.resolve(f.Events, unknown)
	}
}

func (s *source) resolve(events []*window.Event, o resolution) {
	for _, e := range events {
		p := e.Of.(*posted)
		if p.outcome != unresolved {
			s.h.broken("event %d of publisher %d is resolved twice", p.tag, s.n)
		}
		p.outcome = o
	}
}
