package publish

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

// late sends again the frames without an answer, and gives up what has waited too long.
func (p *Publisher) late(now time.Time) {
	type again struct {
		data  []byte
		reply string
	}
	var resend []again
	p.mu.Lock()
	for _, h := range p.w.expire(now) {
		p.end(h, ErrNotSent)
	}
	for id, f := range p.w.frames {
		switch {
		case !now.Before(f.deadline):
			f, _ := p.w.resolve(id, false)
			p.endFrame(f, ErrTimeout)
		case !now.Before(f.resendAt):
			resend = append(resend, again{f.data, p.attempt(f, now)})
		}
	}
	p.signal()
	p.mu.Unlock()
	for _, r := range resend {
		p.send(r.data, r.reply)
	}
	p.report()
}

// answered takes a router's answer, or the server's word that no router listens.
func (p *Publisher) answered(m *nats.Msg) {
	id, attempt, ok := strings.Cut(m.Subject[len(p.inbox)+1:], "-")
	if !ok {
		return
	}
	frameID, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return
	}
	var a frame.Answer
	if m.Header.Get("Status") == "503" {
		a = frame.Answer{Code: frame.Closing, Reason: "no router is listening", Retry: true}
	} else if a, err = frame.DecodeAnswer(m.Data); err != nil {
		return
	}
	now := time.Now()
	p.mu.Lock()
	f, ok := p.w.frames[frameID]
	if !ok {
		p.mu.Unlock()
		return
	}
	if a.Retry {
		if strconv.Itoa(f.attempts) == attempt { // not the word on an attempt that another has followed
			f.resendAt = now.Add(min(minBackoff<<min(f.attempts-1, 8), maxBackoff))
		}
		p.mu.Unlock()
		p.wake()
		return
	}
	var outcome error
	switch {
	case a.Code == frame.Stored:
	case f.attempts == 1:
		outcome = a
	default: // what came of the attempts before is not known
		outcome = fmt.Errorf("%w: %w", ErrTimeout, a)
	}
	f, _ = p.w.resolve(frameID, outcome == nil)
	p.endFrame(f, outcome)
	p.signal()
	leave := p.w.mayLeave() || p.w.renew
	p.mu.Unlock()
	if leave {
		p.wake()
	}
	p.report()
}

// endFrame ends a frame's events.
func (p *Publisher) endFrame(f *outFrame, err error) {
	for _, h := range f.events {
		if err != nil && h.receipt {
			p.asked.drop(h.seq)
		}
		p.end(h, err)
	}
}

// end resolves an event.
func (p *Publisher) end(h *Handle, err error) {
	h.err, h.draft = err, nil
	h.ended.Store(true)
	if p.cfg.OnResolve != nil {
		p.ended = append(p.ended, h)
	}
	if h.done != nil {
		close(h.done)
	}
}

// report calls OnResolve for what has ended, in the order it ended, whichever goroutine ended it.
func (p *Publisher) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reporting {
		return // whoever does will see ours too
	}
	p.reporting = true
	for len(p.ended) > 0 {
		ended := p.ended
		p.ended = nil
		p.mu.Unlock()
		for _, h := range ended {
			p.cfg.OnResolve(h)
		}
		p.mu.Lock()
	}
	p.reporting = false
	p.signal()
}

// abandon gives up all that is outstanding, at a hard stop.
func (p *Publisher) abandon() {
	p.mu.Lock()
	for id := range p.w.frames {
		f, _ := p.w.resolve(id, false)
		p.endFrame(f, fmt.Errorf("%w: %w", ErrTimeout, ErrClosed))
	}
	for _, h := range p.w.dropAll() {
		p.end(h, fmt.Errorf("%w: %w", ErrNotSent, ErrClosed))
	}
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
