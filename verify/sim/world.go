// Package sim runs publishers, routers and workers in a simulated world. One goroutine, the history, decides when each message
// arrives, when each call is answered, and what breaks; it draws every decision from a seed. The processes are our packages as
// they are, over the clients of NATS and redsync, in a bubble of testing/synctest, whose clock is the world's. This package's
// tests build them with edits of Go's runtime, so that Go's own random choices follow from the history too: a history that
// breaks a promise can be run again, exactly.
//
// Simulated are the network, NATS with its streams and buckets (Broker), the Redis servers that keep leases (LockServer),
// and the time that calls of a store take. A test compares them with the servers themselves.
//
// The world holds the messages and calls of a paused process, in both directions, until it resumes: its code runs on to its
// next message or call, and its timers run. So a process can be held between any two steps that others can see.
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

// World holds the processes and their surroundings. Only the history's goroutine uses it, except for the fields that mu guards.
type World struct {
	Rand   *rand.Rand
	Broker *Broker
	Tell   func(string, ...any) // receives every line of the trace; may be nil
	// Trap is called whenever a process has sent a message or made a call. It returns for how long to pause the process there.
	Trap func(p *Process, what string) time.Duration
	// Lose is called for each answer to a call. If it returns true, the connection breaks before the answer arrives. May be nil.
	Lose func() bool

	broken Broken
	over   bool // processes only stop from now on
	start  time.Time
	agenda agenda
	added  uint64
	trace  *xxhash.Digest
	count  map[string]int

	mu      sync.Mutex  // guards the fields below, and those of processes and broker that dial reads and the history changes
	alarm   *time.Timer // wakes the history
	dialled []*conn     // new
	written []*conn     // with new output
	calls   []*call     // new
}

// New makes an empty world. It must be called within a bubble.
func New(seed uint64) *World {
	w := &World{
		Rand: rand.New(rand.NewPCG(seed, 2)), start: time.Now(), trace: xxhash.New(), count: make(map[string]int), alarm: time.NewTimer(0),
	}
	w.Broker = newBroker(w)
	return w
}

// latency draws how long a message or a call takes, one way: mostly little.
func (w *World) latency() time.Duration {
	d := 300 * time.Microsecond
	if w.Rand.IntN(40) == 0 {
		d = 5 * time.Millisecond
	}
	return time.Duration(1 + w.Rand.Int64N(int64(d)))
}

// Elapsed returns the age of the world.
func (w *World) Elapsed() time.Duration { return time.Since(w.start) }

// Note counts an event.
func (w *World) Note(what string) { w.count[what]++ }

// Counts returns the number of each event noted.
func (w *World) Counts() map[string]int { return w.count }

// Say adds a line to the trace. It must be the same whenever the history is run again.
func (w *World) Say(format string, args ...any) {
	w.digest(uint64(w.Elapsed()))
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
		w.Tell("%12s %s", w.Elapsed(), fmt.Sprintf(format, args...))
	}
}

func (w *World) digest(n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	_, _ = w.trace.Write(b[:])
}

// Trace returns a digest of all lines, with their times.
func (w *World) Trace() uint64 { return w.trace.Sum64() }

// Broken is the panic that ends a history: a promise is broken.
type Broken string

// Break ends the history after the current event.
func (w *World) Break(format string, args ...any) {
	if w.broken == "" {
		w.broken = Broken(fmt.Sprintf(format, args...))
	}
}

// raise panics with the broken promise, once.
func (w *World) raise() {
	if b := w.broken; b != "" && !w.over {
		w.broken = ""
		panic(b)
	}
}

// event is a function to be called at its time.
type event struct {
	due   time.Duration // age of the world
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

// After calls fn after d.
func (w *World) After(d time.Duration, fn func()) { w.at(w.Elapsed()+d, fn) }

func (w *World) at(due time.Duration, fn func()) {
	w.added++
	heap.Push(&w.agenda, &event{due, w.added, fn})
}

// wake makes the history look at new messages and calls as soon as all processes wait. Processes call it with mu held.
func (w *World) wake() { w.alarm.Reset(0) }

// Run lets time d pass.
func (w *World) Run(d time.Duration) {
	end := false
	w.After(d, func() { end = true })
	w.run(func() bool { return end })
}

// glance is how often RunUntil checks.
const glance = 5 * time.Millisecond

// RunUntil lets time pass until so returns true.
func (w *World) RunUntil(so func() bool) {
	next := w.Elapsed()
	w.run(func() bool {
		if w.Elapsed() < next {
			return false
		}
		next = w.Elapsed() + glance
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
		if wait := next.due - w.Elapsed(); wait > 0 {
			w.sleep(wait)
			continue
		}
		heap.Pop(&w.agenda)
		next.fn()
	}
}

// sleep lets processes run and time pass until one of them has written or called, or d is over.
func (w *World) sleep(d time.Duration) {
	w.mu.Lock()
	if len(w.dialled)+len(w.written)+len(w.calls) > 0 {
		d = 0
	}
	w.alarm.Reset(d)
	w.mu.Unlock()
	<-w.alarm.C
}

// collect takes the new messages and calls of processes.
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

// change lets the history change fields that dial reads.
func (w *World) change(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// link carries messages one way, in order.
type link struct {
	p     *Process
	queue []sent
	last  time.Duration // due time of the newest
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
	due := max(l.p.w.Elapsed()+l.p.w.latency(), l.last+1)
	l.last = due
	l.queue = append(l.queue, sent{due, fn})
	l.arm()
}

func (l *link) arm() {
	if l.armed || l.cut || len(l.queue) == 0 || l.p.held() {
		return
	}
	l.armed = true
	l.p.w.at(max(l.queue[0].due, l.p.w.Elapsed()+1), l.carry)
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
