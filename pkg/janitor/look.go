package janitor

import (
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// look is one stream as the janitor read it, in this order: the stream's state, each shard's end, each shard's committed
// position. So a shard whose position has reached its end has committed all of its messages up to last.
type look struct {
	first, last uint64 // of the stream
	shards      []shardLook
}

type shardLook struct {
	shard     int
	end       uint64 // the last message of the shard, 0 if it has none
	committed store.Position
}

// committed returns the last message up to which every shard has committed all of its own.
func (l look) committed(epoch uint64) uint64 {
	safe := l.last
	for _, s := range l.shards {
		if s.end == 0 {
			continue // it has no message here
		}
		at := s.committed.Seq
		if s.committed.Epoch != epoch {
			at = 0
		}
		if at < s.end {
			safe = min(safe, at)
		}
	}
	return safe
}

// relied is the record to write before the messages up to and including upTo are purged.
func (l look) relied(upTo uint64) topology.Purged {
	p := topology.Purged{First: upTo + 1, Shards: make(map[int]uint64, len(l.shards))}
	for _, s := range l.shards {
		p.Shards[s.shard] = min(s.committed.Seq, upTo)
	}
	return p
}
