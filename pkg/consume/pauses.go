package consume

import (
	"log/slog"
	"sync"
	"time"
)

// pauses tells a worker's shards whether they may take new rounds. It is a pause with a clock.
type pauses struct {
	log   *slog.Logger
	timer *time.Timer // until the pause is to run out
	quit  chan struct{}
	loop  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	pause  pause
	by     string        // the client that asked for the pause
	turned chan struct{} // closed, and another made, when the worker pauses or resumes
}

func newPauses(log *slog.Logger) *pauses {
	p := &pauses{log: log, timer: time.NewTimer(time.Hour), quit: make(chan struct{}), turned: make(chan struct{})}
	p.timer.Stop()
	return p
}

// start lets pauses run out from now on.
func (p *pauses) start() { p.loop.Go(p.watch) }

// stop is called at most once, when no request can come any more. A pause then stays as it is.
func (p *pauses) stop() {
	close(p.quit)
	p.loop.Wait()
	p.timer.Stop()
}

func (p *pauses) watch() {
	for {
		select {
		case <-p.timer.C:
			p.pass()
		case <-p.quit:
			return
		}
	}
}

// ask pauses for d from now on, in place of any pause before; 0 resumes. by names the asker, for operators.
func (p *pauses) ask(d time.Duration, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	turned := p.pause.ask(d, time.Now())
	p.timer.Reset(d) // behind the clock's reading: it never fires before the pause is over
	paused, same := p.pause.paused(), p.by == by
	p.by = by
	switch {
	case paused && (turned || !same):
		p.log.Info("paused by request: shards take no new rounds", "for", d, "by", by)
	case turned:
		p.log.Info("pause ended by request", "by", by)
	}
	if turned {
		p.turn()
	}
}

func (p *pauses) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause.pass(time.Now()) { // else it was renewed just now, and the timer with it
		p.log.Info("pause ran out")
		p.turn()
	}
}

// turn wakes all that wait for the next turn. p.mu is held.
func (p *pauses) turn() {
	close(p.turned)
	p.turned = make(chan struct{})
}

// look tells whether the worker is paused now; turned is closed as soon as that changes.
func (p *pauses) look() (paused bool, turned <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pause.paused(), p.turned
}

// left is how much of a pause is left, and which client asked for it.
func (p *pauses) left() (d time.Duration, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d = p.pause.left(time.Now()); d > 0 {
		by = p.by
	}
	return d, by
}
