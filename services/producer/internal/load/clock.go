package load

import (
	"context"
	"time"

	"example.com/lockstep/services/producer/internal/pace"
)

// A clock says when events may be sent and what time their latency counts from.
type clock interface {
	// next waits until event k is due and returns its intended time, as time
	// since the start. It is false when the load is over.
	next(ctx context.Context, k uint64) (time.Duration, bool)
	// delayed returns the intended time of an event for which there was no room.
	delayed(intended time.Duration) time.Duration
}

const (
	// tick is how long the sender sleeps at least: it wakes for all events that
	// came due meanwhile. (Linux rounds shorter sleeps of an idle process up to
	// 1 ms anyway, which costs some 4% of a core.)
	tick = 500 * time.Microsecond
	// nap is how long it sleeps at most, so that it hears of an interrupt.
	nap = 20 * time.Millisecond
)

// paced sends at a rate. Events that are late are sent at once, with the time
// they were intended for.
type paced struct {
	rate     pace.Rate
	duration time.Duration // events due within it are sent
	giveUp   time.Duration // when to stop sending what is late
	elapsed  func() time.Duration
	sleep    func(time.Duration)

	now time.Duration // as last read
}

func (p *paced) next(ctx context.Context, k uint64) (time.Duration, bool) {
	due := p.rate.Intended(k)
	if due >= p.duration {
		return 0, false
	}
	if k%64 == 0 {
		p.now = p.elapsed()
		if ctx.Err() != nil || p.now >= p.giveUp {
			return 0, false
		}
	}
	if p.now < due {
		p.now = p.elapsed()
	}
	for p.now < due {
		p.sleep(min(max(due-p.now, tick), nap))
		if ctx.Err() != nil {
			return 0, false
		}
		p.now = p.elapsed()
	}
	return due, true
}

func (p *paced) delayed(intended time.Duration) time.Duration { return intended }

// unpaced sends as fast as there is room. An event is intended for the moment
// there is room for it, read every 16 events.
type unpaced struct {
	duration time.Duration
	elapsed  func() time.Duration

	now time.Duration // as last read
}

func (u *unpaced) next(ctx context.Context, k uint64) (time.Duration, bool) {
	if k%16 == 0 {
		u.now = u.elapsed()
	}
	return u.now, u.now < u.duration && (k%16 != 0 || ctx.Err() == nil)
}

func (u *unpaced) delayed(time.Duration) time.Duration {
	u.now = u.elapsed()
	return u.now
}
