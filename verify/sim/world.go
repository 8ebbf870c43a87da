// Package sim lets real processes run in a world that is simulated: one goroutine, the history, decides when each message
// arrives, each call is answered, and what breaks. The processes are the real publisher, router and worker over the real
// clients of NATS and redsync, in a bubble of testing/synctest, whose clock is the world's. All that happens is drawn from
// a seed. What Go itself leaves to chance follows from the history too, in binaries that this package's tests build with
// edits of the runtime: so a history which breaks a promise can be had again, exactly.
//
// Simulated are the network, NATS with its streams and buckets (Broker), the Redis servers that keep leases (LockServer),
// and the time that calls of a store take. What they do is compared with real servers in this package's tests.
//
// A paused process is one whose messages and calls are held, in both directions, until it is resumed: its code runs on to
// its next message or call, and its timers run. So it can be held between any two steps that others can see.
package sim

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
)

// World is what processes live in. Only the history's goroutine uses it, save for what mu guards.
type World struct {
	Rand   *rand.Rand
	Broker *Broker
	Tell   func(string, ...any) // nil: nobody listens
	// Trap is asked whenever a process has sent a message or made a call, and tells for how long to pause it just then.
	Trap func(p *Process, what string) time.Duration
	// Lose is asked about each answer to a call: whether its connection breaks before it comes. nil: none does.
	Lose func() bool

	broken Broken
	over   bool // what is left only ends
	start  time.Time
	agenda agenda
	added  uint64
	trace  *xxhash.Digest
	count  map[string]int

	mu      sync.Mutex  // guards what follows, and what dial asks of processes and the broker: only the history changes that
	alarm   *time.Timer // wakes the history
	dialled []*conn     // not looked at
	written []*conn     // with output that was not looked at
	calls   []*call     // not looked at
}

// New makes an empty world. It must be made within a bubble.
func New(seed uint64) *World {
	w := &World{
		Rand: rand.New(rand.NewPCG(seed, 2)), start: time.Now(), trace: xxhash.New(), count: make(map[string]int), alarm: time.NewTimer(0),
	}
	w.Broker = newBroker(w)
	return w
}

// latency is how long a message or a call takes, one way: mostly it is quick.
func (w *World) latency() time.Duration {
	d := 300 * time.Microsecond
	if w.Rand.IntN(40) == 0 {
		d = 5 * time.Millisecond
	}
	return time.Duration(1 + w.Rand.Int64N(int64(d)))
}

// Since is how long the world has been there.
func (w *World) Since() time.Duration { return time.Since(w.start) }

// Note counts that something happened.
func (w *World) Note(what string) { w.count[what]++ }

// Counts are what was noted.
func (w *World) Counts() map[string]int { return w.count }

// Say notes in the trace that something happened. What is said must be the same whenever the history is had again.
func (w *World) Say(format string, args ...any) {
	w.digest(uint64(w.Since()))
	_, _ = w.trace.WriteString(format)
	for _, arg := range args {
		switch a := arg.(type) {
		case string:
			w.digest(uint64(len(a)))
			_, _ = w.trace.WriteString(a)
		case int:
			w.digest(uint64(a))
		default:
			_, _ = fmt.Fprint(w.trace, a)
		}
	}
	if w.Tell != nil {
		w.Tell("%12s %s", w.Since(), fmt.Sprintf(format, args...))
	}
}

func (w *World) digest(n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	_, _ = w.trace.Write(b[:])
}

// Trace is a digest of all that happened, with its times.
func (w *World) Trace() uint64 { return w.trace.Sum64() }

// Broken is the panic that ends a history: a promise is broken.
type Broken string

// Break ends the history as soon as what happens now is over.
func (w *World) Break(format string, args ...any) {
	if w.broken == "" {
		w.broken = Broken(fmt.Sprintf(format, args...))
	}
}

// raise ends a history once.
func (w *World) raise() {
	if b := w.broken; b != "" && !w.over {
		w.broken = ""
		panic(b)
	}
}

// event is something that happens at its time.
type event struct {
	due   time.Duration // since the world began
	order uint64
	fn    func()
}

type agenda []*event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].due < a[j].due || a[i].due == a[j].due && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

// After lets fn happen in a while.
func (w *World) After(d time.Duration, fn func()) { w.at(w.Since()+d, fn) }

func (w *World) at(due time.Duration, fn func()) {
	w.added++
	heap.Push(&w.agenda, &event{due, w.added, fn})
}

// wake is called by processes, with mu held: the history is to look at what they have done as soon as all of them rest.
func (w *World) wake() { w.alarm.Reset(0) }

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	end := false
	w.After(d, func() { end = true })
	w.run(func() bool { return end })
}

// glance is how often RunUntil looks.
const glance = 5 * time.Millisecond

// RunUntil lets time pass until something is so.
func (w *World) RunUntil(so func() bool) {
	next := w.Since()
	w.run(func() bool {
		if w.Since() < next {
			return false
		}
		next = w.Since() + glance
		return so()
	})
}

func (w *World) run(over func() bool) {
	defer synctest.Wait()
	for {
		w.collect()
		w.raise()
		if over() {
			return
		}
		if len(w.agenda) == 0 {
			w.After(time.Second, func() {})
		}
		next := w.agenda[0]
		if wait := next.due - w.Since(); wait > 0 {
			w.sleep(wait)
			continue
		}
		heap.Pop(&w.agenda)
		next.fn()
	}
}

// sleep lets all processes run until they rest, and time pass: until one of them has written or called, or for so long.
func (w *World) sleep(d time.Duration) {
	w.mu.Lock()
	if len(w.dialled)+len(w.written)+len(w.calls) > 0 {
		d = 0
	}
	w.alarm.Reset(d)
	w.mu.Unlock()
	<-w.alarm.C
}

// collect takes what processes have written and called since it was last looked.
func (w *World) collect() {
	w.mu.Lock()
	dialled, written, calls := w.dialled, w.written, w.calls
	w.dialled, w.written, w.calls = nil, nil, nil
	w.mu.Unlock()
	for _, c := range dialled {
		w.Broker.accept(c)
	}
	for _, c := range written {
		c.collect()
	}
	for _, c := range calls {
		c.begin()
	}
}

// change is how the history changes what dial asks for.
func (w *World) change(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// link carries messages one way, in order.
type link struct {
	p     *Process
	queue []sent
	last  time.Duration // when the newest is due
	armed bool
	cut   bool
}

type sent struct {
	due time.Duration
	fn  func()
}

func (l *link) push(fn func()) {
	if l.cut {
		return
	}
	due := max(l.p.w.Since()+l.p.w.latency(), l.last+1)
	l.last = due
	l.queue = append(l.queue, sent{due, fn})
	l.arm()
}

func (l *link) arm() {
	if l.armed || l.cut || len(l.queue) == 0 || l.p.held() {
		return
	}
	l.armed = true
	l.p.w.at(max(l.queue[0].due, l.p.w.Since()+1), l.carry)
}

func (l *link) carry() {
	l.armed = false
	if l.cut || l.p.held() {
		return
	}
	fn := l.queue[0].fn
	l.queue = l.queue[1:]
	fn()
	l.arm()
}
