// Package expect keeps what a ledger must hold after a run, and compares.
//
// A run sends events numbered 1, 2, 3 ... for each of its keys. The ledger
// keeps a count, a balance and a digest chain for each key; the Book computes
// the same from what was sent. Equal chains prove that every event was applied
// once and in order, for every key, with no record of single events.
//
// Memory is some 40 bytes a key, whatever the number of events, and a file of
// payloads if there is one.
package expect

import (
	"sync"
	"sync/atomic"
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
	payloads payloads
	next     link     // of the next event, made anew for each
	sent     []uint32 // events of each key
	digest   []uint64 // the chain over all of them

	settled []atomic.Uint32

	mu         sync.Mutex            // guards exceptions
	exceptions map[int32][]exception // by key, in the order sent
}

// exception is an event of a key that was not acknowledged.
type exception struct {
	counter uint32
	outcome Outcome
}

// NewBook opens the account of a run. An error says why its payloads cannot be
// made; a file of them is read now.
func NewBook(keys Keys, payload Payload, seed uint64) (*Book, error) {
	payloads, err := newPayloads(payload, seed)
	if err != nil {
		return nil, err
	}
	n := keys.Len()
	return &Book{
		Keys:       keys,
		payloads:   payloads,
		next:       payloads.newLink(),
		sent:       make([]uint32, n),
		digest:     make([]uint64, n),
		settled:    make([]atomic.Uint32, n),
		exceptions: make(map[int32][]exception),
	}, nil
}

// Next returns the payload of the next event of a key, and the digest that the
// key has once it is applied. The payload holds until Next is called again.
func (b *Book) Next(key int) (payload []byte, digest uint64) {
	b.next = b.payloads.write(b.next, key, b.sent[key]+1)
	return b.next.payload(), b.next.after(b.digest[key])
}

// Sent enters the event that Next described: the publisher has it.
func (b *Book) Sent(key int, digest uint64) {
	b.sent[key]++
	b.digest[key] = digest
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

// Bytes returns how much memory the book takes, but for exceptions.
func (b *Book) Bytes() int64 {
	const perKey = 4 + 4 + 8 + 4 // starts, sent, digest, settled
	n := int64(len(b.names)) + perKey*int64(b.Len())
	if b.payloads.lines != nil {
		n += int64(len(b.payloads.lines.text))
	}
	return n
}
