// Package expect keeps the proof that the store must hold for each key after a
// run, and compares.
//
// A run sends events numbered 1, 2, 3 ... for each of its keys. The platform
// keeps beside each key's state how many events were applied as the state grew,
// and their chain; the Book computes the same from what was sent. Equal chains
// prove that every event was applied once and in order, for every key, with no
// record of single events. After an event that deletes the state both begin anew.
//
// Memory is some 40 bytes a key, whatever the number of events, and a file of
// payloads if there is one.
package expect

import (
	"sync"
	"sync/atomic"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/store"
)

// Outcome is what the publisher says of an event in the end.
type Outcome uint8

const (
	Stored    Outcome = iota // acknowledged: must be applied
	GivenUp                  // nobody knows: may be applied or not
	NotStored                // certainly not in the log: must not be applied
)

func (o Outcome) String() string {
	return [...]string{"stored", "given up", "not stored"}[o]
}

// Book is the account of one run. One goroutine sends (Next, Sent); any number
// may settle at the same time; Check comes after both.
type Book struct {
	Keys
	events  *Events
	next    link     // of the next event, made anew for each
	sent    []uint32 // events of each key
	chain   []uint64 // over those that follow the key's last event that deletes
	deleted []uint32 // number of each key's last event that deletes, 0 without one; nil until any does

	settled []atomic.Uint32
	late    int // digests computed by startsLate

	mu         sync.Mutex            // guards exceptions
	exceptions map[int32][]exception // by key, in the order sent
}

// exception is an event of a key that was not acknowledged.
type exception struct {
	counter uint32
	outcome Outcome
}

// NewBook opens the account of a run. An error says how the application's function of
// events breaks its rules, as far as its first events show it.
func NewBook(keys Keys, events *Events) (*Book, error) {
	n := keys.Len()
	if err := events.check(n); err != nil {
		return nil, err
	}
	return &Book{
		Keys:       keys,
		events:     events,
		next:       events.newLink(),
		sent:       make([]uint32, n),
		chain:      make([]uint64, n),
		settled:    make([]atomic.Uint32, n),
		exceptions: make(map[int32][]exception),
	}, nil
}

// Next returns the next event of a key, and the chain that the key has once it
// is applied. The event holds until Next is called again. An error says that it
// cannot be sent.
func (b *Book) Next(key int) (ev *load.Event, chain uint64, err error) {
	b.next = b.events.write(b.next, key, b.sent[key]+1)
	ev = &b.events.made
	switch {
	case len(ev.Payload) > MaxSize:
		return nil, 0, tooLarge(len(ev.Payload), int(b.sent[key]+1), b.Name(key))
	case ev.Deletes:
		return ev, 0, nil
	}
	return ev, b.next.after(b.chain[key]), nil
}

// Sent enters the event that Next described last: the publisher has it.
func (b *Book) Sent(key int, chain uint64) {
	b.sent[key]++
	b.chain[key] = chain
	if b.events.made.Deletes {
		if b.deleted == nil {
			b.deleted = make([]uint32, b.Len())
		}
		b.deleted[key] = b.sent[key]
	}
}

// Settle enters the outcome of the key's oldest event that has none yet:
// outcomes come in the order in which the key's events were sent.
func (b *Book) Settle(key int, o Outcome) {
	counter := b.settled[key].Add(1)
	if o == Stored {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exceptions[int32(key)] = append(b.exceptions[int32(key)], exception{counter, o})
}

// Used tells whether any event of the key was sent.
func (b *Book) Used(key int) bool { return b.sent[key] > 0 }

// Count returns how many events of the key were sent.
func (b *Book) Count(key int) uint64 { return uint64(b.sent[key]) }

// Bytes returns how much memory the book takes at most, but for exceptions.
func (b *Book) Bytes() int64 {
	const perKey = 4 + 4 + 8 + 4 + 4 // starts, sent, chain, deleted, settled
	n := int64(len(b.names)) + perKey*int64(b.Len())
	if lines := b.events.content.lines; lines != nil {
		n += int64(len(lines.text))
	}
	return n
}

// lastDeleted returns the number of the key's last event that deletes, 0 without one.
func (b *Book) lastDeleted(key int) uint32 {
	if b.deleted == nil {
		return 0
	}
	return b.deleted[key]
}

// want is the state of a key of which every event was acknowledged and applied.
func (b *Book) want(key int) State {
	count := uint64(b.sent[key] - b.lastDeleted(key))
	return State{Found: count > 0, Proof: store.Proof{Count: count, Chain: b.chain[key]}}
}

// unsettled adds the events whose outcome was never told: they were given up.
func (b *Book) unsettled(key int, exceptions []exception) []exception {
	settled := b.settled[key].Load()
	if settled >= b.sent[key] {
		return exceptions
	}
	all := append([]exception(nil), exceptions...)
	for c := settled + 1; c <= b.sent[key]; c++ {
		all = append(all, exception{c, GivenUp})
	}
	return all
}
