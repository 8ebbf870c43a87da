package drive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/publish"
)

// fate is what a fake system does with one event.
type fate struct {
	err     error // told to the publisher
	applied int   // how often
	late    bool  // applied after the next event of any key
	silent  bool  // no receipt
}

var fine = fate{applied: 1}

// fake is a system in memory that treats chosen events badly.
type fake struct {
	shards  int
	room    int // events that may be outstanding
	fate    func(nth int, ev publish.Event) fate
	stuck   int   // events of each stuck shard that are stored and not applied: the last ones
	at      []int // the stuck shards
	lost    error // told to those who ask for positions
	unread  error // told to those who ask for states
	garble  func(key string, s *Stored)
	fails   func(ev publish.Event) bool // whether the handler fails with an event: its key is parked
	failing bool                        // the lists are still tried again
	looked  func(f *fake)               // called when states are asked for, with the lock held
	deletes func(ev publish.Event) bool // whether the handler deletes the state with an event
	onSent  func(nth int)
	refuse  error // the answer to an event
	deaf    error // the answer to a pause

	changed func(shard int, worker string)

	onResolve func(uint64, error)
	onReceipt func(uint64)

	mu      sync.Mutex // guards what follows
	cond    *sync.Cond
	queue   []publish.Event
	stopped bool
	done    chan struct{}
	states  map[string]expect.State
	lists   map[string][]publish.Event // of the keys of which one has failed
	ends    []uint64
	held    *publish.Event
	waiting map[int][]publish.Event // by stuck shard, the events that are not applied yet
	last    map[int]publish.Event   // the last event of each shard
	asked   int                     // how often states were asked for
	paused  []time.Duration         // as asked for
}

func newFake() *fake {
	f := &fake{
		shards: 4, room: 64, done: make(chan struct{}),
		fate:    func(int, publish.Event) fate { return fine },
		deletes: func(publish.Event) bool { return false },
		fails:   func(publish.Event) bool { return false },
		lists:   map[string][]publish.Event{},
		states:  map[string]expect.State{}, waiting: map[int][]publish.Event{}, last: map[int]publish.Event{},
	}
	f.ends = make([]uint64, f.shards)
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *fake) shardOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32()) % f.shards
}

func (f *fake) Open(_ context.Context, _ Config, onResolve func(uint64, error), onReceipt func(uint64)) (Publisher, error) {
	f.onResolve, f.onReceipt = onResolve, onReceipt
	go f.work()
	return f, nil
}

func (f *fake) work() {
	defer close(f.done)
	for nth := 0; ; nth++ {
		f.mu.Lock()
		for len(f.queue) == 0 && !f.stopped {
			f.cond.Wait()
		}
		if len(f.queue) == 0 {
			f.mu.Unlock()
			return
		}
		ev := f.queue[0]
		fate := f.fate(nth, ev)
		f.store(ev, fate)
		_, aside := f.lists[ev.Key]
		f.mu.Unlock()

		if f.onSent != nil {
			f.onSent(nth)
		}
		f.onResolve(ev.Tag, fate.err)
		if ev.Receipt && fate.applied > 0 && !fate.silent && !aside {
			f.onReceipt(ev.Tag)
		}

		f.mu.Lock()
		f.queue = f.queue[1:]
		f.cond.Broadcast()
		f.mu.Unlock()
	}
}

func (f *fake) store(ev publish.Event, fate fate) {
	shard := f.shardOf(ev.Key)
	f.ends[shard]++
	f.last[shard] = ev
	if fate.late {
		f.held = &ev
		return
	}
	for range fate.applied {
		f.commit(shard, ev)
	}
	if f.held != nil && f.held.Key == ev.Key {
		f.apply(*f.held)
		f.held = nil
	}
}

// commit applies an event, in a stuck shard when as many later ones are stored as it is stuck with.
func (f *fake) commit(shard int, ev publish.Event) {
	if slices.Contains(f.at, shard) {
		waiting := append(f.waiting[shard], ev)
		if len(waiting) <= f.stuck {
			f.waiting[shard] = waiting
			return
		}
		ev, f.waiting[shard] = waiting[0], waiting[1:]
	}
	f.apply(ev)
}

func (f *fake) apply(ev publish.Event) {
	if list, aside := f.lists[ev.Key]; aside || f.fails(ev) {
		f.lists[ev.Key] = append(list, ev)
		return
	}
	if f.deletes(ev) {
		delete(f.states, ev.Key)
		return
	}
	s := f.states[ev.Key]
	s.Found = true
	s.Count++
	s.Chain = xxhash.Sum64(append(binary.BigEndian.AppendUint64(nil, s.Chain), ev.Data...))
	f.states[ev.Key] = s
}

// retry applies the events of a key that are set aside. The lock is held.
func (f *fake) retry(key string) {
	list := f.lists[key]
	delete(f.lists, key)
	f.fails = func(publish.Event) bool { return false }
	for _, ev := range list {
		f.apply(ev)
	}
}

func (f *fake) Waiting(_ context.Context, key string, take func([]byte) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev := range f.lists[key] {
		if err := take(ev.Data); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Publish(_ context.Context, ev publish.Event) (*publish.Handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.refuse != nil:
		return nil, f.refuse
	case f.stopped:
		return nil, publish.ErrClosed
	case len(f.queue) >= f.room:
		return nil, publish.ErrFull
	}
	ev.Data = bytes.Clone(ev.Data)
	f.queue = append(f.queue, ev)
	f.cond.Broadcast()
	return &publish.Handle{Tag: ev.Tag}, nil
}

func (f *fake) waitFor(ctx context.Context, ok func() bool) error {
	wake := context.AfterFunc(ctx, f.cond.Broadcast)
	defer wake()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.cond.Wait()
	}
	return nil
}

func (f *fake) WaitRoom(ctx context.Context) error {
	return f.waitFor(ctx, func() bool { return len(f.queue) <= f.room/2 })
}

func (f *fake) Flush(ctx context.Context) error {
	return f.waitFor(ctx, func() bool { return len(f.queue) == 0 })
}

func (f *fake) Stop(context.Context) error {
	f.mu.Lock()
	f.stopped = true
	f.cond.Broadcast()
	f.mu.Unlock()
	<-f.done
	return nil
}

func (f *fake) Layout(context.Context) (Layout, error) {
	return Layout{Epoch: 1, Shards: f.shards, ShardOf: f.shardOf}, nil
}

func (f *fake) Ends(context.Context, Layout) ([]uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint64(nil), f.ends...), nil
}

func (f *fake) Positions(context.Context) ([]Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost != nil {
		return nil, f.lost
	}
	var out []Position
	for shard, end := range f.ends {
		end -= uint64(len(f.waiting[shard]))
		out = append(out, Position{Shard: shard, Epoch: 1, Seq: end})
	}
	return out, nil
}

// States knows the owners of all shards but the last.
func (f *fake) States(context.Context) (map[int]string, error) {
	states := make(map[int]string)
	for shard := range f.shards - 1 {
		states[shard] = "stands still"
	}
	return states, nil
}

func (f *fake) Owners(_ context.Context, changed func(int, string)) (func(), error) {
	f.changed = changed
	return func() {}, nil
}

func (f *fake) Pause(_ context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = append(f.paused, d)
	return f.deaf
}

func (f *fake) Stored(_ context.Context, keys []string) ([]Stored, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.unread != nil {
		return nil, f.unread
	}
	if len(keys) > maxStored {
		return nil, fmt.Errorf("%d keys at once", len(keys))
	}
	if f.looked != nil {
		f.looked(f)
	}
	out := make([]Stored, len(keys))
	for i, k := range keys {
		out[i].State = f.states[k]
		out[i].SetAside = uint64(len(f.lists[k]))
		out[i].Parked = out[i].SetAside > 0 && !f.failing
		out[i].Data = []byte(strconv.FormatUint(f.states[k].Count, 10))
		if f.garble != nil {
			f.garble(k, &out[i])
		}
	}
	return out, nil
}

var errRefused = errors.New("event too large")

func testConfig() Config {
	return Config{
		App: "app", Run: "t", Schedule: pace.Constant(20_000), InFlight: DefaultInFlight, Duration: 50 * time.Millisecond,
		Keys: 10, Payload: expect.Payload{Size: expect.Bytes(40)}, Seed: 1, Receipts: 1, DeliveryTimeout: time.Second, DrainTimeout: 200 * time.Millisecond, Parts: 1,
	}
}

// asFlagsSay is the application of a program that was not changed.
var asFlagsSay = load.Application{Generate: func(d *load.Draw) load.Event { return load.Event{Payload: d.Content()} }}
