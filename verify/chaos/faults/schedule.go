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

// fault breaks one part and mends it.
type fault struct {
	// inject breaks the part and says how.
	inject func(context.Context) (what string, err error)
	// during keeps breaking it until its context ends; nil waits.
	during func(context.Context)
	// mend undoes inject at once, also when inject failed half-way; nil if there is nothing to undo.
	mend func() error
	// recovered returns when the part works again; nil if it does at once.
	recovered func(context.Context) error
}

// backWithin is how long a part may take to work again after its fault, even when the load ends before that.
const backWithin = time.Minute

// run carries a plan out.
type run struct {
	seed   uint64
	stack  *stack.Stack
	shape  Shape
	links  *links
	notes  *notes
	say    func(format string, args ...any)
	within time.Duration // how long a part may take to work again after its fault

	began time.Time

	mu   sync.Mutex             // guards the map held, not its locks
	held map[string]*sync.Mutex // by process or team: locked during a fault of it
}

// play carries the plan out and returns when every part works again. When the load ends it injects no more faults, mends
// what is broken and waits until that works again. When ctx ends it does not wait.
func (r *run) play(ctx, load context.Context, p Plan) error {
	r.began = time.Now()
	var all sync.WaitGroup
	errs := make([]error, len(p.Steps))
	for i, s := range p.Steps {
		if !sleep(load, time.Until(r.began.Add(s.At))) {
			break
		}
		all.Go(func() { errs[i] = r.carryOut(ctx, load, s, r.fault(s)) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// carryOut carries one step out and notes it when it is over. It does neither if the load ends before the step begins.
func (r *run) carryOut(ctx, load context.Context, s Step, f fault) error {
	if s.Victim != everyone && kindOf(s.Fault).part == aProcess {
		held := r.hold(team(s.Victim))
		held.Lock()
		defer held.Unlock()
	}
	if load.Err() != nil {
		return nil
	}
	at := time.Now()
	what, err := r.breakAndMend(ctx, load, f, s.For)
	if ctx.Err() != nil {
		return nil // interrupted: the part is mended
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

// errTooLate says that the load ended before a fault had begun.
var errTooLate = errors.New("the load is over")

// breakAndMend injects a fault, waits, mends it, and returns when the part works again.
func (r *run) breakAndMend(ctx, load context.Context, f fault, length time.Duration) (what string, err error) {
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
	if err != nil || f.recovered == nil {
		return what, err
	}
	back, cancel := context.WithTimeoutCause(ctx, r.within, fmt.Errorf("not within %s", r.within))
	defer cancel()
	return what, f.recovered(back)
}

// fault returns the fault of a step.
func (r *run) fault(s Step) fault {
	switch s.Fault {
	case KillWorker, KillRouter, KillNATS:
		return r.end(s.Victim, syscall.SIGKILL)
	case TermWorker, TermRouter:
		return r.end(s.Victim, syscall.SIGTERM)
	case RollingRestart:
		return r.restartAll()
	case StopWorker, StopRouter:
		return r.stop(s.Victim)
	case KillRedis:
		return r.rejoins(r.end(s.Victim, syscall.SIGKILL))
	case StopRedis:
		return r.rejoins(r.takeDown(s.Victim))
	case HangRedis:
		return r.rejoins(r.stop(s.Victim))
	case KillMaster:
		return r.rejoins(r.killMaster(s))
	case MoveSlot:
		return r.rejoins(r.moveSlot(s))
	case TearSlot:
		return r.rejoins(r.tearSlot(s))
	case StopLock, StopLocks:
		return r.takeLocksDown(strings.Split(s.Victim, and))
	case KillLeader:
		return r.killLeader()
	case CutFollower:
		return r.cutFollower(s)
	case RollingNATS:
		return r.rollServers(strings.Split(s.Victim, and))
	case CrashRedis:
		return r.rejoins(r.crashRedis(s))
	case FlushRedis:
		return r.rejoins(r.flushRedis(s))
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

// hold returns the mutex of a process, or of a team.
func (r *run) hold(process string) *sync.Mutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[process] == nil {
		r.held[process] = new(sync.Mutex)
	}
	return r.held[process]
}

// tell prints an event of the run, with the time since the load began.
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
