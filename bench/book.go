package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// minSize is the smallest payload in bytes: it holds the largest counter and a space.
const minSize = 24

// slabBytes is how much memory is taken at once for payloads. They are not used twice: clients keep what they sent.
const slabBytes = 64 << 10

// askAtOnce is how many accounts are read together.
const askAtOnce = 1000

// book is what a round sends: for each key the account that its events must come to.
type book struct {
	keys     []string
	shards   []int // of each key, for those peers whose sender chooses it
	accounts []account
	size     int
}

func newBook(prefix string, keys, shards, size int) *book {
	b := &book{keys: make([]string, keys), shards: make([]int, keys), accounts: make([]account, keys), size: size}
	for i := range b.keys {
		b.keys[i] = prefix + "-" + strconv.Itoa(i)
		b.shards[i] = int(xxhash.Sum64String(b.keys[i]) % uint64(shards))
	}
	return b
}

// event is one event to send. Its payload stays as it is.
type event struct {
	key     string
	shard   int
	payload []byte
}

// source draws events at random from one sender's share of the keys, so that it alone knows their order.
type source struct {
	book        *book
	first, step int
	share       int // keys
	rng         *rand.Rand
	slab        []byte
}

// source is the share of sender i of n; there are at least n keys.
func (b *book) source(i, n int) *source {
	return &source{book: b, first: i, step: n, share: (len(b.keys) - i + n - 1) / n, rng: rand.New(rand.NewPCG(uint64(i), uint64(n)))}
}

// next draws an event and enters it in the book.
func (s *source) next() event {
	key := s.first + s.step*s.rng.IntN(s.share)
	acc := &s.book.accounts[key]
	payload := s.payload(acc.Events + 1)
	acc.apply(payload)
	return event{key: s.book.keys[key], shard: s.book.shards[key], payload: payload}
}

// payload is the key's own counter, a space, and letters.
func (s *source) payload(counter uint64) []byte {
	size := s.book.size
	if len(s.slab) < size {
		s.slab = make([]byte, max(size, slabBytes))
	}
	p := s.slab[:size:size]
	s.slab = s.slab[size:]
	n := len(strconv.AppendUint(p[:0], counter, 10))
	p[n] = ' '
	rest := p[n+1:]
	for len(rest) >= 8 {
		binary.LittleEndian.PutUint64(rest, letters(s.rng.Uint64()))
		rest = rest[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], letters(s.rng.Uint64()))
	copy(rest, last[:])
	return p
}

// letters turns a number into eight letters from a to p.
func letters(x uint64) uint64 { return x&0x0f0f0f0f0f0f0f0f + 0x6161616161616161 }

// tally is what a round's effects came to.
type tally struct {
	lost, doubled uint64 // events
	reordered     int    // keys with the right count and another chain
}

// check reads every key's account and compares.
func (b *book) check(ctx context.Context, read func(context.Context, []string) ([]account, error)) (t tally, err error) {
	for from := 0; from < len(b.keys); from += askAtOnce {
		to := min(from+askAtOnce, len(b.keys))
		stored, err := read(ctx, b.keys[from:to])
		if err != nil {
			return tally{}, fmt.Errorf("read the accounts: %w", err)
		}
		for i, got := range stored {
			t.add(b.accounts[from+i], got)
		}
	}
	return t, nil
}

func (t *tally) add(want, got account) {
	switch {
	case got.Events < want.Events:
		t.lost += want.Events - got.Events
	case got.Events > want.Events:
		t.doubled += got.Events - want.Events
	case got != want:
		t.reordered++
	}
}

// judge returns an error if an event was lost or doubled, or reordered although the peer keeps the order.
func (t tally) judge(ordered bool) error {
	if t.lost > 0 || t.doubled > 0 || ordered && t.reordered > 0 {
		return fmt.Errorf("%d events lost, %d doubled, %d keys out of order", t.lost, t.doubled, t.reordered)
	}
	return nil
}
