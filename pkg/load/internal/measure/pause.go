package measure

import (
	"cmp"
	"slices"
	"time"
)

const (
	// MinPause is the shortest time without progress that counts as a pause.
	MinPause = 100 * time.Millisecond
	// maxPauses is how many are kept, the longest.
	maxPauses = 256
)

// Pause is a time in which nothing of a shard was applied though something was due.
type Pause struct {
	Shard    int
	From, To time.Duration
}

// Length is how long the pause was.
func (p Pause) Length() time.Duration { return p.To - p.From }

// Pauses are the pauses of a load. It is not safe for concurrent use.
type Pauses struct {
	Count   uint64  // all of them
	Longest []Pause // in no order
}

// add enters a pause, and drops the shortest if there are too many.
func (ps *Pauses) add(p Pause) {
	ps.Longest = append(ps.Longest, p)
	if len(ps.Longest) <= maxPauses {
		return
	}
	shortest := 0
	for i, q := range ps.Longest {
		if q.Length() < ps.Longest[shortest].Length() {
			shortest = i
		}
	}
	ps.Longest[shortest] = ps.Longest[len(ps.Longest)-1]
	ps.Longest = ps.Longest[:len(ps.Longest)-1]
}

// Add adds those that another process saw.
func (ps *Pauses) Add(other *Pauses) {
	ps.Count += other.Count
	for _, p := range other.Longest {
		ps.add(p)
	}
}

// InOrder returns the pauses that were kept, by time and shard.
func (ps *Pauses) InOrder() []Pause {
	out := slices.Clone(ps.Longest)
	slices.SortFunc(out, func(a, b Pause) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Shard, b.Shard))
	})
	return out
}

// Progress finds the pauses of shards in the receipts of their events.
type Progress struct {
	last []time.Duration // when the shard's last receipt came
}

// NewProgress watches so many shards.
func NewProgress(shards int) *Progress { return &Progress{last: make([]time.Duration, shards)} }

// Received takes the receipt, come at now, of an event of a shard intended for
// an earlier time. The shard paused from its last receipt, or from when the
// event was due if that is later.
func (p *Progress) Received(shard int, intended, now time.Duration, into *Pauses) {
	from := max(p.last[shard], intended)
	p.last[shard] = now
	if now-from >= MinPause {
		into.Count++
		into.add(Pause{Shard: shard, From: from, To: now})
	}
}
