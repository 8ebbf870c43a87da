package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/lockstep/deployments/local/stack"
)

// fault breaks one thing and makes it whole again.
type fault struct {
	// inject breaks it and says how.
	inject func(context.Context) (what string, err error)
	// during goes on breaking it until its context ends; nil waits.
	during func(context.Context)
	// mend undoes that at once, also when inject failed half-way; nil for what mends itself.
	mend func() error
	// whole returns when what was broken works again; nil if it does at once.
	whole func(context.Context) error
}

// backWithin is how long anything may take to work again after its fault, also when the load is over before.
const backWithin = time.Minute

// run is a plan that is being carried out.
type run struct {
	seed     uint64
	stack    *stack.Stack
	shape    Shape
	links    *links
	redisDir string // where Redis keeps its files
	notes    *notes
	say      func(format string, args ...any)
	within   time.Duration // how long anything may take to work again after its fault

	began time.Time

	mu   sync.Mutex             // guards the map held, not its locks
	held map[string]*sync.Mutex // by process or team of them: locked while a fault has it
}

// play carries the plan out and returns when all is whole again. When the load ends it injects nothing more and mends what
// is broken, which must then work again. When ctx ends it does not wait for that.
func (r *run) play(ctx, load context.Context, p Plan) error {
	r.began = time.Now()
	var all sync.WaitGroup
	errs := make([]error, len(p.Steps))
	for i, s := range p.Steps {
		if !sleep(load, time.Until(r.began.Add(s.At))) {
			break
		}
		all.Go(func() { errs[i] = r.befall(ctx, load, s, r.fault(s)) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// befall carries out one step, and notes it when it is over. It does neither if the load ends before it begins.
func (r *run) befall(ctx, load context.Context, s Step, f fault) error {
	if s.Victim != everyone && kindOf(s.Fault).part == aProcess {
		held := r.hold(team(s.Victim))
		held.Lock()
		defer held.Unlock()
	}
	if load.Err() != nil {
		return nil
	}
	at := time.Now()
	what, err := r.suffer(ctx, load, f, s.For)
	if ctx.Err() != nil {
		return nil // interrupted: what was broken is mended
	}
	if errors.Is(err, errTooLate) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", s.Fault, s.Victim, err)
	}
	until := time.Now()
	r.tell("over after %s: %s", seconds(until.Sub(at)), what)
	return r.notes.add(note{fault: s.Fault, At: at, Until: until, What: what})
}

// errTooLate says that the load ended while a fault had not begun.
var errTooLate = errors.New("the load is over")

// suffer injects a fault, waits, mends it, and returns when all is whole again.
func (r *run) suffer(ctx, load context.Context, f fault, length time.Duration) (what string, err error) {
	what, err = f.inject(load)
	if err == nil {
		r.tell("%s%s", what, lasting(length))
		over, cancel := context.WithTimeout(load, length)
		if f.during != nil {
			f.during(over)
		}
		<-over.Done()
		cancel()
	}
	tooLate := load.Err() != nil && errors.Is(err, context.Canceled)
	if tooLate {
		err = nil
	}
	if f.mend != nil {
		err = errors.Join(err, f.mend())
	}
	if tooLate && err == nil {
		err = errTooLate
	}
	if err != nil || f.whole == nil {
		return what, err
	}
	back, cancel := context.WithTimeoutCause(ctx, r.within, fmt.Errorf("not within %s", r.within))
	defer cancel()
	return what, f.whole(back)
}

// fault returns the fault of a step.
func (r *run) fault(s Step) fault {
	switch s.Fault {
	case KillWorker, KillRouter, KillRedis, KillNATS:
		return r.end(s.Victim, syscall.SIGKILL)
	case TermWorker, TermRouter:
		return r.end(s.Victim, syscall.SIGTERM)
	case RollingRestart:
		return r.restartAll()
	case StopWorker, StopRouter:
		return r.stop(s.Victim)
	case StopRedis:
		return r.takeDown(stack.Redis)
	case StopLock, StopLocks:
		return r.takeLocksDown(strings.Split(s.Victim, and))
	case KillLeader:
		return r.killLeader()
	case CutFollower:
		return r.cutFollower(s)
	case RollingNATS:
		return r.rollServers(strings.Split(s.Victim, and))
	case CrashRedis:
		return r.crashRedis()
	case FlushRedis:
		return r.flushRedis()
	case CutProducer:
		return r.cut(s.Victim)
	case SlowLinks:
		return r.slow(s.Victim)
	case LossyLinks:
		return r.lossy(s)
	case CutLinks:
		return r.down(s.Victim)
	case StallLinks:
		return r.stall(s.Victim)
	}
	panic("a plan with an unknown fault: " + s.Fault)
}

// hold returns the lock of a process, or of a team.
func (r *run) hold(process string) *sync.Mutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[process] == nil {
		r.held[process] = new(sync.Mutex)
	}
	return r.held[process]
}

// tell says what happens, with the time since the load began.
func (r *run) tell(format string, args ...any) {
	r.say("%8s  %s", seconds(time.Since(r.began)), fmt.Sprintf(format, args...))
}

func lasting(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return ", for " + seconds(d)
}

// sleep returns false if ctx ended before the time was over.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
