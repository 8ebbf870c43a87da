// Package gather decides for a router which events share a batch, when a batch leaves, and which frames may be acknowledged.
// It has no goroutine, no clock and no connection.
package gather

import (
	"fmt"

	"example.com/lockstep/pkg/frame"
)

// frameOverhead is about the memory that a frame's part takes beside its bytes, for its answer.
const frameOverhead = 256

// Gather holds the events that a router has taken for one epoch and not yet stored. Its rules:
//
//   - A shard has one batch in flight; while the log stores that, the next one gathers. So batches grow with the load, and
//     without load no event waits.
//   - A frame is acknowledged when all its parts are stored, and only if the permit is still valid in the term in which the
//     frame arrived: else an epoch may have ended in between, and the batch may lie after its end.
type Gather struct {
	epoch    uint64
	shardOf  func(key []byte) int
	maxBatch int // bytes of one batch
	maxBytes int // of all events that gather or are in flight
	bytes    int
	shards   []shardQueue

	spare      [][]byte // memory for later batches
	spareBytes int

	// Scratch of Add, by shard.
	size    []int
	touched []int
	of      []int32
}

// shardQueue is a shard's batches.
type shardQueue struct {
	storing *Batch
	next    []*Batch // gathering; all but the last are full
}

// Batch is one message for a shard.
type Batch struct {
	Epoch  uint64
	Shard  int
	Data   []byte // may be given back once published, see Reuse
	Events int

	term   uint64     // of the permit when the batch was begun
	size   int        // of its parts: Data without the mark, for which maxBatch leaves room
	frames []*Pending // those that have a part in it
}

// Pending is a frame that is not yet answered.
type Pending struct {
	Reply string
	Seq   uint64 // of the frame's first event

	term  uint64 // of the permit when the frame arrived
	parts int    // not yet stored
	ended bool   // answered
}

// New makes a Gather for an epoch. A batch has at most maxBatch bytes and its mark, unless one frame's part is larger.
func New(epoch uint64, shards int, shardOf func([]byte) int, maxBatch, maxBytes int) *Gather {
	return &Gather{
		epoch: epoch, shardOf: shardOf, maxBatch: maxBatch, maxBytes: maxBytes,
		shards: make([]shardQueue, shards), size: make([]int, shards),
	}
}

// Epoch is the epoch of the batches.
func (g *Gather) Epoch() uint64 { return g.epoch }

// Shard is the shard of a key.
func (g *Gather) Shard(key []byte) int { return g.shardOf(key) }

// Add takes a frame that arrived in a term of the permit, and appends to leave the batches that leave now. If it has no room
// it takes nothing and returns false.
func (g *Gather) Add(fr *frame.Frame, reply string, term uint64, leave []*Batch) ([]*Batch, bool) {
	g.touched, g.of = g.touched[:0], g.of[:0]
	for i := range fr.Events {
		shard := g.shardOf(fr.Events[i].Key)
		if g.size[shard] == 0 {
			g.touched = append(g.touched, shard)
		}
		g.size[shard] += len(fr.Events[i].Raw)
		g.of = append(g.of, int32(shard))
	}
	total := 0
	for _, shard := range g.touched {
		total += frame.PartSize(fr.Header, g.size[shard]) + frameOverhead
	}
	if !g.Reserve(total) {
		for _, shard := range g.touched {
			g.size[shard] = 0
		}
		return leave, false
	}
	p := &Pending{Reply: reply, Seq: fr.Events[0].Seq, term: term, parts: len(g.touched)}
	for _, shard := range g.touched {
		b := g.open(shard, frame.PartSize(fr.Header, g.size[shard]), term)
		before := len(b.Data)
		b.Data = frame.AppendPart(b.Data, fr.Header, g.size[shard])
		b.frames = append(b.frames, p)
		b.size += g.size[shard] + len(b.Data) - before
		g.size[shard] = 0
	}
	for i := range fr.Events {
		q := &g.shards[g.of[i]]
		b := q.next[len(q.next)-1]
		b.Data = append(b.Data, fr.Events[i].Raw...)
		b.Events++
	}
	for _, shard := range g.touched {
		if b := g.leave(shard); b != nil {
			leave = append(leave, b)
		}
	}
	return leave, true
}

// Reserve takes bytes of the router's memory, or returns false if they are not free. A frame larger than all of it is let in
// alone.
func (g *Gather) Reserve(bytes int) bool {
	if g.bytes > 0 && g.bytes+bytes > g.maxBytes {
		return false
	}
	g.bytes += bytes
	return true
}

// Release gives reserved bytes back.
func (g *Gather) Release(bytes int) { g.bytes -= bytes }

// open returns the shard's gathering batch if it has room for size bytes under this term, or a new one.
func (g *Gather) open(shard, size int, term uint64) *Batch {
	q := &g.shards[shard]
	if n := len(q.next); n > 0 && q.next[n-1].size+size <= g.maxBatch && q.next[n-1].term == term {
		return q.next[n-1]
	}
	b := &Batch{Epoch: g.epoch, Shard: shard, term: term}
	if n := len(g.spare); n > 0 {
		b.Data, g.spare = g.spare[n-1], g.spare[:n-1]
		g.spareBytes -= cap(b.Data)
	}
	b.Data = frame.AppendMark(b.Data, frame.Place{Epoch: g.epoch, Shard: shard})
	q.next = append(q.next, b)
	return b
}

// maxSpare bounds the memory kept for later batches, in bytes.
const maxSpare = 4 << 20

// Reuse takes back the memory of a batch's Data. The caller must not read it any more.
func (g *Gather) Reuse(data []byte) {
	if cap(data) > 0 && g.spareBytes+cap(data) <= maxSpare {
		g.spare = append(g.spare, data[:0])
		g.spareBytes += cap(data)
	}
}

// leave returns the shard's next batch if none is in flight.
func (g *Gather) leave(shard int) *Batch {
	q := &g.shards[shard]
	if q.storing != nil || len(q.next) == 0 {
		return nil
	}
	q.storing = q.next[0]
	q.next[0] = nil
	if q.next = q.next[1:]; len(q.next) == 0 {
		q.next = nil
	}
	return q.storing
}

// May tells whether a batch may be published under the permit's current term.
func (b *Batch) May(term uint64, valid bool) bool { return valid && term == b.term }

// Stored ends a batch that the log has stored. term and valid are the permit's, read after that. It appends to acked the frames
// that are now stored in full and may be acknowledged. It returns how many may not be, and the shard's next batch, or nil.
func (g *Gather) Stored(b *Batch, term uint64, valid bool, acked []*Pending) (_ []*Pending, unacknowledged int, next *Batch) {
	for _, p := range b.frames {
		if p.parts--; p.parts > 0 || p.ended {
			continue
		}
		p.ended = true
		if !valid || term != p.term {
			unacknowledged++ // the publisher sends again
			continue
		}
		acked = append(acked, p)
	}
	return acked, unacknowledged, g.end(b)
}

// Failed ends a batch that may not be stored. It appends to refused its frames that have no answer yet, and returns the shard's
// next batch, or nil.
func (g *Gather) Failed(b *Batch, refused []*Pending) ([]*Pending, *Batch) {
	for _, p := range b.frames {
		if !p.ended {
			p.ended = true
			refused = append(refused, p)
		}
	}
	return refused, g.end(b)
}

func (g *Gather) end(b *Batch) *Batch {
	if g.shards[b.Shard].storing != b {
		panic(fmt.Sprintf("batch of shard %d ended twice", b.Shard))
	}
	g.Release(b.size + frameOverhead*len(b.frames))
	g.shards[b.Shard].storing = nil
	return g.leave(b.Shard)
}

// Held is how many bytes gather or are in flight.
func (g *Gather) Held() int { return g.bytes }
