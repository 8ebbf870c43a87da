// Package dedup is a shard's deduplication record: which events of which publishers have been applied. It needs no window
// of time. For each publisher it holds the newest generation seen, the highest floor, and the seqs applied at or above it.
// An older generation, a seq below the floor, or one in the set is not applied again. Its size is bounded by what one
// publisher may have in flight, and it is part of every commit, so that it stands where the state stands.
//
// It has no clock: time is the log's, message by message, so that a replay decides as the first run did.
package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"example.com/lockstep/pkg/frame"
)

// Retention is how long a publisher is remembered after its last event.
const Retention = 7 * 24 * time.Hour

// There may be millions of publishers, so a commit forgets only some. Verdicts do not depend on which are forgotten.
const (
	maxForgotten = 1000      // in one commit
	sweepEvery   = time.Hour // by the log's time
)

// Verdict is the decision about a part of a frame.
type Verdict int

// A part of the newest generation is Open: its events are to be admitted one by one. One of an older generation is Closed:
// a newer one has begun since, and it only began when all of this one was resolved. One of a publisher that was forgotten
// is Late: it is a copy of something long resolved. (Or a clock jumped; so those are to be reported.)
const (
	Open Verdict = iota
	Closed
	Late
)

// Record is a shard's record. Its zero value is empty.
type Record struct {
	publishers map[frame.PublisherID]*Publisher
	changed    map[frame.PublisherID]*Publisher // as they were at the last Clean; nil: unknown
	oldest     time.Time                        // no publisher was seen last before

	swept     time.Time           // when all publishers were looked at last
	doomed    []frame.PublisherID // that were to be forgotten then, and still may be
	forgotten int                 // since the last Clean
}

// Publisher is the record of one publisher.
type Publisher struct {
	generation uint64
	birth      int64     // the latest of its generations', Unix milliseconds
	floor      uint64    // below it all is resolved
	last       time.Time // of the newest message that named it
	jumped     uint64    // from where the newest part has raised the floor, if it did so further than it can be; not stored
	words      []uint64  // applied seqs, a bit each; bit 0 of words[0] is seq base*64
	base       uint64    // floor / 64
}

// Part begins a part of a frame that the log took at the given time. If the verdict is Open the part's events are admitted
// through the Publisher, in order.
func (r *Record) Part(s frame.Session, floor uint64, at time.Time) (*Publisher, Verdict) {
	r.init()
	r.expire(at)
	p := r.publishers[s.Publisher]
	if p != nil && p.expired(at) {
		r.forget(s.Publisher)
		p = nil
	}
	switch {
	case p == nil && s.BirthTime().Add(Retention).Before(at):
		return nil, Late
	case p == nil:
		r.touch(s.Publisher)
		p = &Publisher{generation: s.Generation, birth: s.Birth, floor: 1}
		r.publishers[s.Publisher] = p
		if r.oldest.IsZero() || at.Before(r.oldest) {
			r.oldest = at
		}
	case s.Generation < p.generation:
		return nil, Closed
	}
	r.touch(s.Publisher)
	// Seqs go on from one generation to the next, so applied seqs stay applied.
	p.generation, p.birth = s.Generation, max(p.birth, s.Birth)
	p.jumped = p.jumpTo(floor, at)
	p.last = at
	p.raise(floor)
	return p, Open
}

// maxRate is more than one publisher can send: events a second.
const maxRate = 5_000_000

// longest is how long a publisher that is not known here may have been sending.
const longest = 10 * 365 * 24 * time.Hour

// jumpTo returns the floor, if another one is further above it than the publisher can have got since its last event; else 0.
func (p *Publisher) jumpTo(floor uint64, at time.Time) (from uint64) {
	elapsed := longest
	if !p.last.IsZero() {
		elapsed = max(0, at.Sub(p.last))
	}
	if floor > p.floor && floor-p.floor > frame.MaxSpan+uint64(elapsed.Seconds()*maxRate) {
		return p.floor
	}
	return 0
}

// Jump tells whether the newest part has raised the floor further than its publisher can have got, and from where. No
// publisher of ours does so: events that it still sends below the new floor are not applied.
func (p *Publisher) Jump() (from uint64, ok bool) { return p.jumped, p.jumped > 0 }

// Newest is the newest generation seen of a publisher, 0 if it is not known.
func (r *Record) Newest(id frame.PublisherID) uint64 {
	if p := r.publishers[id]; p != nil {
		return p.generation
	}
	return 0
}

func (r *Record) init() {
	if r.publishers == nil {
		r.publishers, r.changed = make(map[frame.PublisherID]*Publisher), make(map[frame.PublisherID]*Publisher)
	}
}

// touch keeps a publisher as it is, before it changes.
func (r *Record) touch(id frame.PublisherID) {
	if _, kept := r.changed[id]; kept {
		return
	}
	p := r.publishers[id]
	if p != nil {
		before := *p
		before.words = slices.Clone(p.words)
		p = &before
	}
	r.changed[id] = p
}

// expire forgets some of the publishers that have been silent for longer than Retention.
func (r *Record) expire(at time.Time) {
	if len(r.doomed) == 0 && !r.oldest.IsZero() && r.oldest.Add(Retention).Before(at) && at.Sub(r.swept) >= sweepEvery {
		r.sweep(at)
	}
	for len(r.doomed) > 0 && r.forgotten < maxForgotten {
		id := r.doomed[len(r.doomed)-1]
		r.doomed = r.doomed[:len(r.doomed)-1]
		if p := r.publishers[id]; p != nil && p.expired(at) {
			r.forget(id)
			r.forgotten++
		}
	}
}

// sweep looks at all publishers.
func (r *Record) sweep(at time.Time) {
	r.swept, r.oldest, r.doomed = at, at, nil
	for id, p := range r.publishers {
		if p.expired(at) {
			r.doomed = append(r.doomed, id)
		} else if seen := p.seen(); seen.Before(r.oldest) {
			r.oldest = seen
		}
	}
}

func (r *Record) forget(id frame.PublisherID) {
	r.touch(id)
	delete(r.publishers, id)
}

// expired tells whether the publisher has been silent for longer than Retention.
func (p *Publisher) expired(at time.Time) bool { return p.seen().Add(Retention).Before(at) }

// seen is from when on the publisher is silent: its last event, or its birth if its clock is ahead of the log's. For it
// must not be forgotten before copies of its events are Late.
func (p *Publisher) seen() time.Time {
	if birth := time.UnixMilli(p.birth); birth.After(p.last) {
		return birth
	}
	return p.last
}

// raise moves the floor up and forgets the seqs below it.
func (p *Publisher) raise(floor uint64) {
	if floor <= p.floor {
		return
	}
	p.floor = floor
	if drop := floor/64 - p.base; drop > 0 {
		if drop >= uint64(len(p.words)) {
			p.words = p.words[:0]
		} else {
			p.words = p.words[:copy(p.words, p.words[drop:])]
		}
		p.base = floor / 64
	}
}

// Admit tells whether the event is to be applied, and if so remembers that it was.
func (p *Publisher) Admit(seq uint64) bool {
	if seq < p.floor {
		return false
	}
	i, bit := seq/64-p.base, uint64(1)<<(seq%64)
	for uint64(len(p.words)) <= i {
		p.words = append(p.words, 0)
	}
	if p.words[i]&bit != 0 {
		return false
	}
	p.words[i] |= bit
	return true
}

// Len is the number of publishers remembered.
func (r *Record) Len() int { return len(r.publishers) }

// Changes calls fn for each publisher changed since the last Clean: with its encoding, or nil if it was forgotten.
func (r *Record) Changes(fn func(id frame.PublisherID, encoded []byte)) {
	for id := range r.changed {
		if p := r.publishers[id]; p != nil {
			fn(id, p.append(nil))
		} else {
			fn(id, nil)
		}
	}
}

// Clean says that all changes have been committed.
func (r *Record) Clean() {
	clear(r.changed)
	r.forgotten = 0
}

// Rollback takes back all changes since the last Clean.
func (r *Record) Rollback() {
	for id, before := range r.changed {
		if before == nil {
			delete(r.publishers, id)
			continue
		}
		r.publishers[id] = before
		if before.last.Before(r.oldest) {
			r.oldest = before.last
		}
	}
	clear(r.changed)
	r.forgotten = 0
}

// The two encodings. Both begin with a version, then generation, birth, floor and last event (Unix nanoseconds) as varints.
const (
	encodedWords = 1 // then the words from floor/64 on, 8 bytes each, little-endian
	encodedGaps  = 2 // then for each applied seq, as a varint, how far it is from the one before (the first: from the floor)

	maxWords = frame.MaxSpan/64 + 2 // that hold a publisher's seqs, in either
)

// append encodes p in the shorter way: with many shards, each has few of a publisher's seqs.
func (p *Publisher) append(b []byte) []byte {
	words := p.words
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	applied := 0
	for _, w := range words {
		applied += bits.OnesCount64(w)
	}
	// A gap takes one byte, and one more if it is 128 or longer: at most half as often as there are words.
	gaps := applied+len(words)/2 < 8*len(words)
	if gaps {
		b = append(b, encodedGaps)
	} else {
		b = append(b, encodedWords)
	}
	b = binary.AppendUvarint(b, p.generation)
	b = binary.AppendVarint(b, p.birth)
	b = binary.AppendUvarint(b, p.floor)
	b = binary.AppendVarint(b, p.last.UnixNano())
	if gaps {
		return p.appendGaps(b, words)
	}
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func (p *Publisher) appendGaps(b []byte, words []uint64) []byte {
	before := p.floor
	for i, w := range words {
		for first := (p.base + uint64(i)) * 64; w != 0; w &= w - 1 {
			if seq := first + uint64(bits.TrailingZeros64(w)); seq >= p.floor {
				b = binary.AppendUvarint(b, seq-before)
				before = seq
			}
		}
	}
	return b
}

// Restore adds a publisher as a store kept it.
func (r *Record) Restore(id frame.PublisherID, encoded []byte) error {
	p, err := decode(encoded)
	if err != nil {
		return fmt.Errorf("deduplication record of publisher %s: %w", id, err)
	}
	r.init()
	r.publishers[id] = p
	if r.oldest.IsZero() || p.last.Before(r.oldest) {
		r.oldest = p.last
	}
	return nil
}

var errEncoding = errors.New("malformed encoding")

func decode(b []byte) (*Publisher, error) {
	if len(b) == 0 {
		return nil, errEncoding
	}
	version := b[0]
	if version != encodedWords && version != encodedGaps {
		return nil, fmt.Errorf("encoding version %d: this program reads %d and %d; run a newer one", version, encodedWords, encodedGaps)
	}
	b = b[1:]
	bad := false
	unsigned := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	signed := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	p := &Publisher{generation: unsigned(), birth: signed(), floor: unsigned()}
	p.last = time.Unix(0, signed())
	p.base = p.floor / 64
	if version == encodedGaps {
		for seq := p.floor; len(b) > 0 && !bad; {
			gap := unsigned()
			seq += gap
			if gap >= 64*maxWords || seq < p.floor || seq/64-p.base >= maxWords {
				return nil, errEncoding
			}
			p.Admit(seq)
		}
	} else if !bad && len(b)%8 == 0 && len(b)/8 <= maxWords {
		for ; len(b) > 0; b = b[8:] {
			p.words = append(p.words, binary.LittleEndian.Uint64(b))
		}
	} else {
		bad = true
	}
	if bad {
		return nil, errEncoding
	}
	return p, nil
}
