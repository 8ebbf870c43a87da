package consume

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
)

// intake says to a worker's shards whether they may take new rounds. It is a pause with a clock.
type intake struct {
	log   *slog.Logger
	timer *time.Timer // until the pause is to run out
	quit  chan struct{}
	loop  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	pause  pause
	by     string        // who asked for the pause
	turned chan struct{} // closed, and another made, when the worker pauses or resumes
}

func newIntake(log *slog.Logger) *intake {
	i := &intake{log: log, timer: time.NewTimer(time.Hour), quit: make(chan struct{}), turned: make(chan struct{})}
	i.timer.Stop()
	return i
}

// start lets pauses run out from now on.
func (i *intake) start() { i.loop.Go(i.watch) }

// stop is called at most once, when nobody asks any more. A pause then stays as it is.
func (i *intake) stop() {
	close(i.quit)
	i.loop.Wait()
	i.timer.Stop()
}

func (i *intake) watch() {
	for {
		select {
		case <-i.timer.C:
			i.pass()
		case <-i.quit:
			return
		}
	}
}

// ask pauses for d from now on, in place of any pause before; 0 resumes. by names the asker, for operators.
func (i *intake) ask(d time.Duration, by string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	turned := i.pause.ask(d, time.Now())
	i.timer.Reset(d) // behind the clock's reading: it never fires before the pause is over
	paused, same := i.pause.paused(), i.by == by
	i.by = by
	switch {
	case paused && (turned || !same):
		i.log.Info("paused by request: shards take no new rounds", "for", d, "by", by)
	case turned:
		i.log.Info("pause ended by request", "by", by)
	}
	if turned {
		i.turn()
	}
}

func (i *intake) pass() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pause.pass(time.Now()) { // else it was renewed just now, and the timer with it
		i.log.Info("pause ran out")
		i.turn()
	}
}

// turn wakes who waits for the next turn. i.mu is held.
func (i *intake) turn() {
	close(i.turned)
	i.turned = make(chan struct{})
}

// look tells whether the intake is paused now; turned is closed as soon as that changes.
func (i *intake) look() (paused bool, turned <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pause.paused(), i.turned
}

// left is how much of a pause is left, and who asked for it.
func (i *intake) left() (d time.Duration, by string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d = i.pause.left(time.Now()); d > 0 {
		by = i.by
	}
	return d, by
}

// rest keeps a shard while the intake is paused, and does for it what an idle owner does.
func (w *Worker) rest(ctx context.Context, o group.Ownership, s *shard, idle <-chan time.Time) error {
	paused, turned := w.intake.look()
	if !paused {
		return nil
	}
	w.note(s.n, func(st *shardStatus) { st.runs(statePaused) })
	for {
		select {
		case <-turned:
			return nil
		case <-idle:
			if err := w.stands(ctx, s); err != nil {
				return err
			}
		case <-o.Stop:
			return errHandOver
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stands returns store.ErrStale if the shard's version does not stand any more. Any other failure tells nothing.
func (w *Worker) stands(ctx context.Context, s *shard) error {
	if _, err := w.store.Load(ctx, s.n, s.version, nil); errors.Is(err, store.ErrStale) {
		return err
	}
	return nil
}
