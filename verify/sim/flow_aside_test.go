package sim

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// newAside begins a history whose handler fails in every way, while an operator looks after parked keys.
func newAside(w *World) (run, end func()) {
	f := newLog(w)
	f.worked, f.moody = true, true
	return f.run, f.end
}

// mood is what a moody handler makes of an event.
type mood int

const (
	applies mood = iota
	refuses      // until the handler is mended
	parks        // likewise, and says that it is not to be tried again
	drops        // the handler passes over it
	slow         // its first attempt takes longer than a round waits
	hangs        // its first attempt does not end with its context
	panics       // its first attempt
)

func (f *flow) mood(data []byte) mood {
	if !f.moody {
		return applies
	}
	return map[uint32]mood{0: refuses, 1: refuses, 2: parks, 3: drops, 4: slow, 5: slow, 6: hangs, 7: panics}[hash(data)*2654435761>>16%40]
}

// moods has the handler fail, or takes its time. It returns nil if the event is to be applied.
func (f *flow) moods(ctx context.Context, data []byte, first, mended bool) error {
	switch m := f.mood(data); {
	case m == drops:
		return consume.Drop(errHandler)
	case m == refuses && !mended:
		return errHandler
	case m == parks && !mended:
		return consume.Park(errHandler)
	case m == slow && first:
		select {
		case <-time.After(1500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	case m == hangs && first:
		time.Sleep(40 * time.Second) // of the simulation's time
		return errHandler
	case m == panics && first:
		panic("the handler panics")
	}
	return nil
}

// operator is a connection to the broker from which commands come.
func (f *flow) operator() *actor {
	return f.add("operator", func(*Process) func(context.Context, *nats.Conn) (func(context.Context) error, error) {
		return func(context.Context, *nats.Conn) (func(context.Context) error, error) {
			return func(context.Context) error { return nil }, nil
		}
	})
}

// list is what the store has of a key's events that are set aside.
type list struct {
	head   aside.Head
	events []aside.Event
}

// lists are those of all keys, as an operator sees them; nil while a slot cannot be read.
func (f *flow) lists() (map[string]list, bool) {
	f.mu.Lock()
	at := f.kept.At(f.topology)
	f.mu.Unlock()
	out := make(map[string]list)
	for n := range f.shards {
		err := at.Heads(background, n, "", func(key string, encoded []byte) error {
			head, err := aside.DecodeHead(encoded)
			if err != nil {
				return err
			}
			events, err := at.Aside(background, n, "", key, head.First, int(head.Len()))
			if err != nil {
				return err
			}
			l := list{head: head}
			for _, b := range events {
				e, err := aside.DecodeEvent(b)
				if err != nil {
					return err
				}
				l.events = append(l.events, e)
			}
			if len(l.events) != int(head.Len()) {
				broken("the list of key %s has %d events, not %d", key, len(l.events), head.Len())
			}
			out[key] = l
			return nil
		})
		switch {
		case errors.Is(err, store.ErrTorn):
			return nil, false
		case err != nil:
			broken("the lists of shard %d cannot be read: %v", n, err)
		}
	}
	return out, true
}

// order has the operator send a command about a list: a retry of some of its first events, or a drop of the first.
func (f *flow) order(key string, l list, op string, n int) {
	if f.hands == nil || f.hands.nc == nil {
		return
	}
	c := frame.Command{Op: op, Key: key, First: l.events[0].ID, Last: l.events[n-1].ID, Count: uint64(n)}
	f.Say("the operator asks to %s %d events of key %s", op, n, key)
	f.Note("asked to " + op)
	if op == frame.CommandDrop {
		f.named[string(l.events[0].Data)] = true
	}
	_ = f.hands.nc.PublishRequest(topology.CommandSubject("app"), "answers."+strconv.Itoa(f.ordered), c.Append(nil))
	f.ordered++
}

// operate is what the operator does now and then.
func (f *flow) operate() {
	lists, ok := f.lists()
	if !ok || len(lists) == 0 {
		return
	}
	key := pick(f.World, slices.Sorted(maps.Keys(lists)))
	l := lists[key]
	if l.head.Status == aside.Parked && f.mood(l.events[0].Data) != applies && f.Rand.IntN(2) == 0 {
		f.order(key, l, frame.CommandDrop, 1)
		return
	}
	f.order(key, l, frame.CommandRetry, 1+f.Rand.IntN(len(l.events)))
}

// worksOff tells whether all lists are worked off. Now and then the operator asks for a retry of parked keys.
func (f *flow) worksOff() bool {
	lists, ok := f.lists()
	if !ok {
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		l := lists[key]
		if l.head.Status == aside.Parked && f.Elapsed()-f.asked[key] > 3*time.Second {
			f.asked[key] = f.Elapsed()
			f.order(key, l, frame.CommandRetry, len(l.events))
		}
	}
	return len(lists) == 0
}

// outcome is what a key's events make of it, as a store is to have it: nil if there is nothing. Those that an operator asked to
// drop count as dropped unless kept, the state that the store has, holds them.
func (f *flow) outcome(events, kept []byte) []byte {
	var proof store.Proof
	var state []byte
	for ; len(events) > 0; events = events[3:] {
		data := events[:3]
		if f.mood(data) == drops || f.named[string(data)] && !holds(kept, data) {
			f.Note("dropped")
			proof.Dropped++
			continue
		}
		proof, state = proof.Apply(data), append(state, data...)
		if f.deletes(data) {
			f.Note("state deleted")
			proof, state = store.Proof{}, nil
		}
	}
	if state == nil && proof == (store.Proof{}) {
		return nil
	}
	return append(proof.Append(nil), state...)
}

// holds tells whether a stored state holds an event.
func holds(stored, data []byte) bool {
	if len(stored) == 0 {
		return false
	}
	_, state, err := store.SplitState(stored)
	if err != nil {
		broken("a stored state cannot be read: %v", err)
	}
	for ; len(state) >= 3; state = state[3:] {
		if bytes.Equal(state[:3], data) {
			return true
		}
	}
	return false
}
