package consume

import (
	"context"
	"sync"
	"time"
)

const (
	// glanceTime is how often the owner looks whether the handler's call at hand is still the one of the last time.
	glanceTime = 5 * time.Millisecond
	// quickTime is what each call of a pass takes at most if the next pass is to make its calls one by one.
	quickTime = time.Millisecond
)

// crew runs the attempts of one claim of a shard.
type crew struct {
	ctx    context.Context // of handlers: ends with the claim
	calls  *calls
	runner *runner // nil: there is none at the moment
	slow   bool    // the handler waits: keys run side by side from the start
	began  time.Time
	timer  *time.Timer

	underWay []*call // of the round at hand
	late     []*call // have ended, and are no round's any more: of lists
	running  sync.WaitGroup
}

func (o *owner) newCrew(ctx context.Context) *crew {
	c := &crew{ctx: ctx, timer: time.NewTimer(time.Hour)}
	c.calls = &calls{
		shard: o.n, handler: o.cfg.Handler, timeout: o.cfg.HandlerTimeout, place: o.places.join(),
		ended: make(chan *call), gone: make(chan struct{}), givenUp: &o.givenUp, running: &c.running,
	}
	return c
}

// leave ends the attempts' contexts, and waits for a moment until their handlers return.
func (c *crew) leave(end context.CancelCauseFunc) {
	end(errHandedOver)
	close(c.calls.gone)
	c.timer.Stop()
	if c.runner != nil {
		close(c.runner.begin)
	}
	returned := make(chan struct{})
	go func() {
		c.running.Wait()
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(giveUpTime):
	}
	c.calls.place.leave()
}

// pass goes through the round: it begins the attempts that can be begun, and waits until each of them has ended, or has run for so
// long that it is set aside. As long as the handler is quick they run one by one.
func (o *owner) pass() *ending {
	s, r, c := o.shard, o.round, o.crew
	s.beginPass(r)
	now := time.Now()
	if !r.uncommitted() {
		c.began = now
	}
	s.spent.Store(now.Sub(c.began) >= o.cfg.RoundTime)
	term := o.brakePass(now)
	defer o.countPass(term)
	if !c.slow {
		if end, over := o.oneByOne(); over || end != nil {
			return end
		}
	}
	return o.sideBySide()
}

// oneByOne has the runner make the attempts. over: it came to the pass's end. Else a call does not return, and is under way.
func (o *owner) oneByOne() (_ *ending, over bool) {
	s, c := o.shard, o.crew
	if end := o.awaitPlace(); end != nil {
		return end, false
	}
	if c.runner == nil {
		c.runner = newRunner(c.ctx)
		ru := c.runner
		c.running.Go(func() { ru.run(s, c.calls) })
	}
	c.runner.begin <- o.round
	c.timer.Reset(glanceTime)
	defer c.timer.Stop()
	var seen uint64
	stop := o.ctx.Done()
	for {
		select {
		case <-c.runner.over:
			c.calls.place.put()
			return because(context.Cause(o.ctx)), true
		case <-c.timer.C:
			c.timer.Reset(glanceTime)
			now := time.Now()
			if now.Sub(c.began) >= o.cfg.RoundTime {
				s.spent.Store(true)
			}
			n, ok := c.runner.calling()
			if ok && n == seen {
				if call := c.runner.takeOver(n, c.calls, now.Add(-glanceTime)); call != nil {
					c.runner, c.slow = nil, true
					c.underWay = append(c.underWay, call)
					return because(context.Cause(o.ctx)), false
				}
			}
			seen = n
		case call := <-c.calls.ended:
			c.late = append(c.late, call)
		case <-stop: // its calls are taken over, if they do not return
			s.spent.Store(true)
			stop = nil
		}
	}
}

// awaitPlace takes a place.
func (o *owner) awaitPlace() *ending {
	c := o.crew
	if c.calls.place.take() {
		return nil
	}
	for {
		select {
		case <-c.calls.place.granted:
			return nil
		case call := <-c.calls.ended:
			c.late = append(c.late, call)
		case <-o.own.Stop:
			c.calls.place.forgo()
			return &ending{next: handOver}
		case <-o.ctx.Done():
			c.calls.place.forgo()
			return because(context.Cause(o.ctx))
		}
	}
}

// sideBySide makes each attempt on a goroutine of its own.
func (o *owner) sideBySide() *ending {
	r, c := o.round, o.crew
	place := c.calls.place
	o.shard.beside(o.cfg.Handler, r)
	defer c.timer.Stop()
	more, waits, quick := true, false, len(c.underWay) == 0
	defer func() {
		if waits {
			place.forgo()
		}
		c.slow = !quick
	}()
	for {
		for more && !waits {
			if !place.take() {
				waits = true
				break
			}
			more = o.startCall()
		}
		if len(c.underWay) == 0 && (!waits || r.complete() > r.next) {
			return nil
		}
		c.timer.Reset(o.nextLook())
		var granted chan struct{}
		if waits {
			granted = place.granted
		}
		select {
		case <-granted:
			waits = false
			more = o.startCall()
		case call := <-c.calls.ended:
			if o.endCall(call) {
				quick = quick && time.Since(call.began) < quickTime
				more = true
			} else if end := o.tend(); end != nil {
				return end
			}
		case <-o.tending.timer.C:
			if end := o.tend(); end != nil {
				return end
			}
		case <-o.tending.granted():
			if end := o.tendGranted(); end != nil {
				return end
			}
		case <-c.timer.C:
			if o.setOverdueAside() {
				more, quick = true, false
			}
		case <-o.ctx.Done():
			return because(context.Cause(o.ctx))
		}
	}
}

// startCall begins the next attempt, for which there is a place, or gives that back if none can be begun now.
func (o *owner) startCall() bool {
	c := o.crew
	call := new(call)
	if !o.shard.begin(o.round, &call.attempt) {
		c.calls.place.put()
		return false
	}
	c.underWay = append(c.underWay, call)
	c.calls.start(c.ctx, call, func(ctx context.Context) result { return call.attempt.run(ctx, o.cfg.Handler) })
	return true
}

// endCall takes the result of an attempt that has ended, and tells whether it is of the round.
func (o *owner) endCall(call *call) bool {
	c := o.crew
	for i, u := range c.underWay {
		if u == call {
			c.underWay = append(c.underWay[:i], c.underWay[i+1:]...)
			o.shard.ended(o.round, &call.attempt, &call.result)
			return true
		}
	}
	c.late = append(c.late, call)
	return false
}

// nextLook is when something may be due, if no attempt ends.
func (o *owner) nextLook() time.Duration {
	c := o.crew
	wait := time.Hour
	if !o.shard.spent.Load() {
		wait = time.Until(c.began.Add(o.cfg.RoundTime))
	}
	for _, call := range c.underWay {
		wait = min(wait, time.Until(call.began.Add(o.cfg.SlowTime)))
	}
	return max(wait, 0)
}

// setOverdueAside sets the attempts aside that have run for too long. It also ends the round's time. It tells whether there were any.
func (o *owner) setOverdueAside() (some bool) {
	c, now := o.crew, time.Now()
	if now.Sub(c.began) >= o.cfg.RoundTime {
		o.shard.spent.Store(true)
	}
	left := c.underWay[:0]
	for _, call := range c.underWay {
		if now.Sub(call.began) < o.cfg.SlowTime {
			left = append(left, call)
			continue
		}
		some = true
		o.round.lent = true
		o.shard.overdue(o.round, &call.attempt, call)
	}
	clear(c.underWay[len(left):])
	c.underWay = left
	return some
}
