package publish

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/window"
	"github.com/nats-io/nats.go"
)

// late sends unanswered frames again, and gives up the frames and events whose time is up.
func (p *Publisher) late(now time.Time) {
	var resend []attempt
	p.mu.Lock()
	o := p.w.Late(now)
	p.giveUp(o, ErrNotSent, ErrUnknown)
	for _, f := range o.Again {
		resend = append(resend, p.attemptAt(f, now))
	}
	p.signal()
	p.mu.Unlock()
	for _, a := range resend {
		p.send(a)
	}
	p.report()
}

// answered takes a router's answer, or the server's word that no router listens.
func (p *Publisher) answered(m *nats.Msg) {
	id, attempt, err := parseReply(m.Subject[len(p.inbox)+1:])
	if err != nil {
		return
	}
	nobody := m.Header.Get("Status") == "503"
	a := frame.Answer{Code: frame.Closing, Reason: "no router is listening", Retry: true}
	if !nobody {
		a, err = frame.DecodeAnswer(m.Data)
		if err != nil || !p.believes(id, a, m.Reply) {
			p.foreign(m)
			return
		}
	}
	servers := 0
	if p.unstored(a) {
		servers = len(p.nc.Servers()) // before p.mu: a goroutine with the connection's lock may be in a slow write
	}
	now := time.Now()
	p.mu.Lock()
	p.silence.end()
	if id == askID {
		if !nobody {
			p.routers.askHeard(uint64(attempt), m.Reply, now)
		}
		p.mu.Unlock()
		return
	}
	if nobody {
		p.routers.nobody(id)
		p.w.NotTaken(id, attempt)
	} else {
		p.routers.heard(id, m.Reply, now)
	}
	move := p.shouldFailOver(a, servers, now)
	f, outcome := p.w.Answered(id, attempt, a, now)
	switch outcome {
	case window.InFlight:
		p.mu.Unlock()
		if a.Retry {
			p.wake()
		}
		if move {
			_ = p.nc.ForceReconnect() // fails only if the connection is closed
		}
		return
	case window.Stored:
		p.endFrame(f, nil)
	case window.Refused:
		p.endFrame(f, refused(a))
	case window.Unknown:
		p.endFrame(f, fmt.Errorf("%w: %w", ErrUnknown, a))
	}
	p.signal()
	leave := p.mustWake(now)
	p.mu.Unlock()
	if leave {
		p.wake()
	}
	p.report()
}

// believes tells whether an answer is a router's, and is about the frame that it was sent for.
func (p *Publisher) believes(id uint64, a frame.Answer, from string) bool {
	if !p.routers.isRouter(from) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first, inFlight := p.w.First(id)
	return !inFlight || a.Of(first)
}

// foreignEvery is the least time between two log lines about answers that no router gave.
const foreignEvery = time.Minute

// foreign takes an answer that no router gave. The frame is sent again as if there had been no answer.
func (p *Publisher) foreign(m *nats.Msg) {
	now := time.Now()
	p.mu.Lock()
	tell := p.foreignAt.IsZero() || now.Sub(p.foreignAt) >= foreignEvery
	if tell {
		p.foreignAt = now
	}
	p.mu.Unlock()
	if tell {
		p.cfg.Log.Warn("answer ignored: it did not come from a router; does another program or a stream subscribe to the routers' subject?",
			"subject", p.routers.group, "answer_reply", m.Reply, "answer", fmt.Sprintf("%.80q", m.Data))
	}
}

// parseReply reads a frame's id and an attempt from the end of a reply subject.
func parseReply(s string) (frameID uint64, attempt int, err error) {
	id, n, _ := strings.Cut(s, "-")
	if frameID, err = strconv.ParseUint(id, 10, 64); err != nil {
		return 0, 0, err
	}
	attempt, err = strconv.Atoi(n)
	return frameID, attempt, err
}

// giveUp ends the frames that were given up, and then the events that did not leave: they are younger than those of their key
// that did.
func (p *Publisher) giveUp(o window.Overdue, notSent, unknown error) {
	for _, f := range o.GivenUp {
		switch {
		case f.MayBeStored():
			p.endFrame(f, lastAnswer(unknown, f.Refusal))
		case p.unsent != nil:
			p.endFrame(f, fmt.Errorf("%w; the connection reported: %w", notSent, p.unsent))
		default:
			p.endFrame(f, lastAnswer(notSent, f.Refusal))
		}
	}
	for _, e := range o.Expired {
		p.end(handle(e), notSent)
		e.Draft = nil
	}
}

// endFrame ends a frame's events, except those that their context has ended.
func (p *Publisher) endFrame(f *window.Frame, err error) {
	p.routers.drop(f.ID)
	for _, e := range f.Events {
		h := handle(e)
		if err != nil && h.receipt {
			p.asked.drop(e.Seq)
		}
		if !h.ended.Load() {
			p.end(h, err)
		}
		e.Draft = nil
	}
}

// end resolves an event.
func (p *Publisher) end(h *Handle, err error) {
	h.err = err
	h.ended.Store(true)
	if h.unwatch != nil {
		h.unwatch()
	}
	if p.cfg.OnResolve != nil {
		p.ended = append(p.ended, h)
	}
	if h.done != nil {
		close(h.done)
	}
}

// report calls OnResolve for the events that have ended, in that order, on one goroutine at a time.
func (p *Publisher) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reporting {
		return // that goroutine reports these too
	}
	p.reporting = true
	for len(p.ended) > 0 {
		ended := p.ended
		p.ended = nil
		p.signal()
		p.mu.Unlock()
		for _, h := range ended {
			p.cfg.OnResolve(h)
		}
		p.mu.Lock()
	}
	p.reporting = false
	p.signal()
}

// abandon gives up all outstanding events. why is a refusal.
func (p *Publisher) abandon(why error) {
	p.mu.Lock()
	unknown := fmt.Errorf("%w: %v", ErrUnknown, why) // why is not wrapped: an unknown outcome is no refusal
	p.giveUp(p.w.Abandon(), fmt.Errorf("%w: %w", ErrNotSent, why), unknown)
	p.signal()
	p.mu.Unlock()
	p.report()
}

// receipted takes a worker's receipt.
func (p *Publisher) receipted(m *nats.Msg) {
	var r frame.Receipt
	if r.Decode(m.Data) != nil {
		return
	}
	for _, seq := range r.Seqs {
		if tag, ok := p.asked.take(seq); ok {
			p.cfg.OnReceipt(tag)
		}
	}
}
