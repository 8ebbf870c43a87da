package route

import (
	"fmt"

	"example.com/lockstep/pkg/frame"
)

// gather decides which events travel together. It has no goroutine, no clock and no connection. Its rule: a shard has one
// batch under way; while that is being stored, the next one gathers. So batches grow with the load, and without load
// nothing waits.
type gather struct {
	epoch    uint64
	shardOf  func(key []byte) int
	maxBatch int // bytes of one batch
	maxBytes int // of all that gathers or is being stored
	bytes    int
	shards   []shardQueue

	// Scratch of add, by shard.
	size    []int
	touched []int
	of      []int32
}

// shardQueue is a shard's batches.
type shardQueue struct {
	storing *batch
	next    []*batch // gathering; all but the last are full
}

// batch is one message for a shard.
type batch struct {
	epoch  uint64
	shard  int
	term   uint64 // of the lease under which it was begun
	data   []byte
	size   int // of data, also after data was let go of
	events int
	frames []*pending // with a part of it
}

// pending is a frame that is not yet answered.
type pending struct {
	reply string
	term  uint64 // of the lease under which it came
	parts int    // not yet stored
	ended bool   // answered
}

func newGather(epoch uint64, shards int, shardOf func([]byte) int, maxBatch, maxBytes int) *gather {
	return &gather{
		epoch: epoch, shardOf: shardOf, maxBatch: maxBatch, maxBytes: maxBytes,
		shards: make([]shardQueue, shards), size: make([]int, shards),
	}
}

// add takes a frame and returns the batches that leave now. If it has no room it takes nothing and returns false.
func (g *gather) add(fr *frame.Frame, reply string, term uint64, leave []*batch) ([]*batch, bool) {
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
		total += frame.PartSize(fr.Header, g.size[shard])
	}
	if !g.reserve(total) {
		for _, shard := range g.touched {
			g.size[shard] = 0
		}
		return leave, false
	}
	p := &pending{reply: reply, term: term, parts: len(g.touched)}
	for _, shard := range g.touched {
		b := g.open(shard, frame.PartSize(fr.Header, g.size[shard]), term)
		before := len(b.data)
		b.data = frame.AppendPart(b.data, fr.Header, g.size[shard])
		b.frames = append(b.frames, p)
		b.size += g.size[shard] + len(b.data) - before
		g.size[shard] = 0
	}
	for i := range fr.Events {
		q := &g.shards[g.of[i]]
		b := q.next[len(q.next)-1]
		b.data = append(b.data, fr.Events[i].Raw...)
		b.events++
	}
	for _, shard := range g.touched {
		if b := g.leave(shard); b != nil {
			leave = append(leave, b)
		}
	}
	return leave, true
}

// reserve takes so many bytes of what the router may hold, if they are left. One that is larger than all is let in alone.
func (g *gather) reserve(bytes int) bool {
	if g.bytes > 0 && g.bytes+bytes > g.maxBytes {
		return false
	}
	g.bytes += bytes
	return true
}

// release gives back what was reserved.
func (g *gather) release(bytes int) { g.bytes -= bytes }

// open returns the shard's gathering batch if it has room for size bytes under this term, or a new one.
func (g *gather) open(shard, size int, term uint64) *batch {
	q := &g.shards[shard]
	if n := len(q.next); n > 0 && q.next[n-1].size+size <= g.maxBatch && q.next[n-1].term == term {
		return q.next[n-1]
	}
	b := &batch{epoch: g.epoch, shard: shard, term: term}
	q.next = append(q.next, b)
	return b
}

// leave returns the shard's next batch if none is under way.
func (g *gather) leave(shard int) *batch {
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

// stored ends a batch that is stored, appends to done the frames of which all is stored now, and returns the shard's next
// batch, or nil.
func (g *gather) stored(b *batch, done []*pending) ([]*pending, *batch) {
	for _, p := range b.frames {
		if p.parts--; p.parts == 0 && !p.ended {
			p.ended = true
			done = append(done, p)
		}
	}
	return done, g.end(b)
}

// failed ends a batch of which it is not known that it is stored, appends to refused its frames that have no answer yet,
// and returns the shard's next batch, or nil.
func (g *gather) failed(b *batch, refused []*pending) ([]*pending, *batch) {
	for _, p := range b.frames {
		if !p.ended {
			p.ended = true
			refused = append(refused, p)
		}
	}
	return refused, g.end(b)
}

func (g *gather) end(b *batch) *batch {
	if g.shards[b.shard].storing != b {
		panic(fmt.Sprintf("batch of shard %d ended twice", b.shard))
	}
	g.release(b.size)
	g.shards[b.shard].storing = nil
	return g.leave(b.shard)
}

// empty tells whether nothing gathers or is being stored.
func (g *gather) empty() bool { return g.bytes == 0 }
