package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/route/permit"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// flow is a history of events, from publishers by routers to workers.
type flow struct {
	*World
	shards   int
	worked   bool // there are workers
	deleting bool // their handler deletes states
	moody    bool // their handler fails in every way, and there is an operator
	locks    *LockServer
	server   *Server // of the store
	kept     *storetest.Memory
	past     []moment
	versions []store.Version // by shard: what the next commit must name

	publishers []*source
	routers    []*actor
	workers    []*actor
	hands      *actor                   // the operator's
	ordered    int                      // commands
	named      map[string]bool          // events that the operator has asked to drop
	asked      map[string]time.Duration // by key: when the operator asked for a retry in the end
	all        []*actor
	renewed    map[*Process]time.Time // when a router's permit was stored last

	mu       sync.Mutex // guards what follows: workers use it
	topology string     // its id, once a worker knows it
	attempts map[string]int
	mended   bool                 // the handler
	fences   map[[2]uint64]string // by shard and fence: the worker that has used it
}

var quiet = slog.New(slog.DiscardHandler)

// newFlow begins a history with workers.
func newFlow(w *World) (run, end func()) {
	f := newLog(w)
	f.worked = true
	return f.run, f.end
}

// newFill begins a history without workers: the log is read at the end.
func newFill(w *World) (run, end func()) {
	f := newLog(w)
	return f.run, f.end
}

func newLog(w *World) *flow {
	f := &flow{
		World: w, shards: 1 + w.Rand.IntN(2), locks: w.NewLockServer("lock server"), server: w.NewServer("store"), kept: storetest.NewMemory(),
		deleting: w.Rand.IntN(2) == 0, renewed: make(map[*Process]time.Time), attempts: make(map[string]int), named: make(map[string]bool), asked: make(map[string]time.Duration), fences: make(map[[2]uint64]string),
	}
	f.versions = make([]store.Version, f.shards)
	w.Trap, w.Lose = f.trap, func() bool { return w.Rand.IntN(50) == 0 }
	w.Broker.Stored, w.Broker.Stray, w.Broker.Slow = f.stored, f.stray, f.slow
	return f
}

// trap sometimes holds a process between two of its steps.
func (f *flow) trap(p *Process, what string) time.Duration {
	often := 100
	if strings.HasPrefix(what, "app.") && !strings.HasPrefix(what, "app.ctl.") || strings.Contains(what, "shard") {
		often = 25 // where it matters most
	}
	if strings.HasPrefix(what, "app.work.") {
		often = 10
	}
	if f.Rand.IntN(often) > 0 {
		return 0
	}
	times := []time.Duration{30 * time.Millisecond, 700 * time.Millisecond, 2500 * time.Millisecond, 7 * time.Second, 14 * time.Second}
	return pick(f.World, times)
}

// slow sometimes delays the log's confirmation.
func (f *flow) slow() time.Duration {
	if f.Rand.IntN(30) > 0 {
		return 0
	}
	return time.Duration(f.Rand.Int64N(int64(4 * time.Second)))
}

func (f *flow) add(name string, begin func(*Process) func(context.Context, *nats.Conn) (func(context.Context) error, error)) *actor {
	p := f.NewProcess(fmt.Sprintf("%s %d", name, len(f.all)+1))
	a := launch(p, begin(p))
	f.all = append(f.all, a)
	return a
}

func (f *flow) router(*Process) func(context.Context, *nats.Conn) (func(context.Context) error, error) {
	return func(ctx context.Context, nc *nats.Conn) (func(context.Context) error, error) {
		r, err := route.New(nc, route.Config{App: "app", Log: quiet,
			Initial: topology.Initial{Shards: f.shards, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30, HistoryAge: time.Hour, HistoryBytes: 1 << 30}}})
		if err != nil {
			panic(err)
		}
		return r.Stop, r.Start(ctx)
	}
}

func (f *flow) worker(p *Process) func(context.Context, *nats.Conn) (func(context.Context) error, error) {
	locker, err := lease.New(lease.Config{App: "app"}, f.locks.For(p))
	if err != nil {
		panic(err)
	}
	return func(ctx context.Context, nc *nats.Conn) (func(context.Context) error, error) {
		w, err := consume.New(nc, consume.Config{
			App: "app", Name: p.Name, Handler: ledger{f, p.Name}, Locker: group.Leases(locker), Log: quiet,
			Store: func(topology string) store.Store {
				f.mu.Lock()
				f.topology = topology
				f.mu.Unlock()
				return &RemoteStore{Process: p, Server: f.server, Kept: f.kept.At(topology), Claimed: f.claimed, Committed: f.committed}
			},
		})
		if err != nil {
			panic(err)
		}
		return w.Stop, w.Start(ctx)
	}
}

// stored remembers when routers' permits were renewed.
func (f *flow) stored(p *Process, _ time.Time, subject string, _ []byte) {
	if strings.HasPrefix(subject, "$KV.app_topology.router.") {
		f.renewed[p] = time.Now()
	}
}

// stray ends an epoch while a router has no permit: the batches that it stores then may follow the end.
func (f *flow) stray(p *Process, subject string) bool {
	if !strings.HasPrefix(subject, "app.work.") || time.Since(f.renewed[p]) < permit.TTL || f.Rand.IntN(2) == 0 {
		return false
	}
	f.Note("stray")
	return true
}

func (f *flow) claimed(shard int, v store.Version) {
	f.Note("claimed")
	f.versions[shard] = v
}

func (f *flow) committed(c *store.Commit) {
	switch f.versions[c.Shard] {
	case c.Old:
		f.Note("committed")
	case c.New:
		f.Note("commit repeated")
	default:
		f.Break("shard %d has two owners: a commit succeeded though it names another version than the last one's", c.Shard)
	}
	f.versions[c.Shard] = c.New
}

// ledger is the workers' handler: a key's state lists the events applied to it, in order, since one of them deleted it. It
// sometimes fails after it has changed the state.
type ledger struct {
	f      *flow
	worker string
}

func (ledger) Decode(envelope []byte) (any, error) {
	state := append([]byte(nil), envelope...)
	return &state, nil
}

func (ledger) Encode(b []byte, state any) ([]byte, error) { return append(b, *state.(*[]byte)...), nil }

var errHandler = errors.New("the handler refused")

func (l ledger) Apply(ctx context.Context, state any, ev consume.Event) error {
	s := state.(*[]byte)
	*s = append(*s, ev.Data...)
	first, mended, err := l.called(ev)
	if err != nil {
		return err
	}
	if err := l.f.moods(ctx, ev.Data, first, mended); err != nil {
		return err
	}
	if first && hash(ev.Data)%16 == 0 {
		return errHandler
	}
	if l.f.deletes(ev.Data) {
		return consume.Delete
	}
	return nil
}

// called counts the attempts for an event. It fails if another worker has used its fence.
func (l ledger) called(ev consume.Event) (first, mended bool, err error) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	fence := [2]uint64{uint64(ev.Shard), ev.Fence}
	switch l.f.fences[fence] {
	case "":
		l.f.fences[fence] = l.worker
	case l.worker:
	default:
		return false, false, fmt.Errorf("%s and %s have the same fence %d of shard %d", l.worker, l.f.fences[fence], ev.Fence, ev.Shard)
	}
	l.f.attempts[string(ev.Data)]++
	return l.f.attempts[string(ev.Data)] == 1, l.f.mended, nil
}

// deletes tells whether the handler deletes its key's state with an event.
func (f *flow) deletes(data []byte) bool {
	return f.deleting && hash(data)>>4%6 == 0 && f.mood(data) == applies
}

func hash(data []byte) uint32 {
	h := fnv.New32()
	_, _ = h.Write(data)
	return h.Sum32()
}

func (f *flow) wait(d time.Duration) { f.Run(time.Duration(1 + f.Rand.Int64N(int64(d)))) }

func (f *flow) run() {
	f.remember()
	for range 1 + f.Rand.IntN(3)/2 {
		f.routers = append(f.routers, f.add("router", f.router))
		f.wait(100 * time.Millisecond)
	}
	for range 1 + f.Rand.IntN(3)/2 {
		if !f.worked {
			break
		}
		f.workers = append(f.workers, f.add("worker", f.worker))
	}
	for range 1 + f.Rand.IntN(3)/2 {
		f.publishers = append(f.publishers, f.publisher())
	}
	if f.moody {
		f.hands = f.operator()
	}
	f.RunUntil(func() bool { return !slices.ContainsFunc(f.publishers, func(s *source) bool { return !ended(s.up) }) })
	for range 5 + f.Rand.IntN(16) {
		f.step()
	}
	f.heal()
	f.check()
}

// end ends all that is left.
func (f *flow) end() {
	for _, a := range f.all {
		a.stop(gone)
	}
	for _, a := range f.all {
		f.RunUntil(func() bool { return ended(a.stopped) })
	}
	f.Run(2 * time.Second)
}
