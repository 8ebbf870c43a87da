package drive

import (
	"context"
	"math"
	"time"
)

// A clock says when events may be sent and what time their latency counts from.
type clock interface {
	// next waits until event k is due and returns its intended time, as time
	// since the start. It is false when the load is over.
	next(ctx context.Context, k uint64) (time.Duration, bool)
	// delayed returns the intended time of an event for which there was no room,
	// now that there is.
	delayed(intended time.Duration) time.Duration
	// lag returns how late an event is that is sent now.
	lag(intended time.Duration) time.Duration
	// missed returns how many events were due and had not been sent in time, and
	// how many of them were never sent, of so many sent in all.
	missed(sent uint64) (overdue, unsent uint64)
}

const (
	// tick is how long the sender sleeps at least: it wakes for all events that
	// came due meanwhile.
	tick = 500 * time.Microsecond
	// nap is how long it sleeps at most, so that it hears of an interrupt.
	nap = 20 * time.Millisecond
	// inTime is how late an event may be sent that is due just before the end.
	inTime = 10 * time.Millisecond
)

// paced is an open loop: it sends by a schedule, whatever becomes of the events.
// Those that are late are sent at once, with the time they were intended for.
type paced struct {
	pacer   part
	last    uint64        // how many to send at most
	end     time.Duration // events due before it are sent
	grace   time.Duration // how long after the end what is late is still sent
	elapsed func() time.Duration
	sleep   func(time.Duration)

	now   time.Duration // as last read
	inEnd uint64        // events sent when the end had come
	ended bool          // it has
}

// newPaced sends a number of events (0: no limit) after a warm-up, due within a
// duration (0: no limit) of the warm-up's end. One of the two must be limited.
func newPaced(pacer part, warmUp, duration time.Duration, events uint64) *paced {
	p := &paced{pacer: pacer, last: math.MaxUint64, end: maxElapsed}
	if duration > 0 {
		p.end = warmUp + duration
	}
	if events > 0 {
		p.last = pacer.Events(warmUp) + events
		p.end = min(p.end, pacer.Intended(p.last-1)+1)
	}
	return p
}

func (p *paced) next(ctx context.Context, k uint64) (time.Duration, bool) {
	due := p.pacer.Intended(k)
	if due >= p.end || k >= p.last {
		p.reach(k)
		return 0, false
	}
	if k%64 == 0 {
		p.read(k)
		if ctx.Err() != nil || p.now >= p.end+p.grace {
			return 0, false
		}
	}
	if p.now < due {
		p.read(k)
	}
	for p.now < due {
		p.sleep(min(max(due-p.now, tick), nap))
		if ctx.Err() != nil {
			return 0, false
		}
		p.read(k)
	}
	return due, true
}

// read reads the time, when k events have been sent.
func (p *paced) read(k uint64) {
	p.now = p.elapsed()
	if p.now >= p.end+inTime {
		p.reach(k)
	}
}

// reach notes that the end has come, or that nothing is left to send before it.
func (p *paced) reach(k uint64) {
	if !p.ended {
		p.ended, p.inEnd = true, k
	}
}

func (p *paced) delayed(intended time.Duration) time.Duration {
	p.now = p.elapsed()
	return intended
}

func (p *paced) lag(intended time.Duration) time.Duration { return max(p.now-intended, 0) }

// missed returns how many events had not been sent when the load's end came, or
// sending was ended before, though they were due; and how many of them never were.
func (p *paced) missed(sent uint64) (overdue, unsent uint64) {
	due := min(p.pacer.Events(min(p.now, p.end)), p.last)
	unsent = due - min(due, sent)
	if !p.ended {
		return unsent, unsent
	}
	return due - min(due, p.inEnd), unsent
}

// unpaced is a closed loop: it sends as fast as there is room for events that
// are not acknowledged. One is intended for the moment there is room for it,
// read every 16 events.
type unpaced struct {
	warmUp  time.Duration
	events  uint64        // how many to send after the warm-up; 0: no limit
	end     time.Duration // events are sent before it; 0: no limit
	elapsed func() time.Duration

	now  time.Duration // as last read
	warm uint64        // events of the warm-up
}

func (u *unpaced) next(ctx context.Context, k uint64) (time.Duration, bool) {
	if k%16 == 0 {
		u.now = u.elapsed()
		if ctx.Err() != nil {
			return 0, false
		}
	}
	if u.now < u.warmUp {
		u.warm = k + 1
	}
	over := u.end > 0 && u.now >= u.end || u.events > 0 && k >= u.warm+u.events
	return u.now, !over
}

func (u *unpaced) delayed(time.Duration) time.Duration {
	u.now = u.elapsed()
	return u.now
}

func (u *unpaced) lag(time.Duration) time.Duration { return 0 }

func (u *unpaced) missed(uint64) (overdue, unsent uint64) { return 0, 0 }
