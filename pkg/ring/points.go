package ring

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// VirtualNodes is the number of points of each shard. It is the same for every
// ring, else adding a shard would move keys between the others, and it is part of
// the format, as salt is: another number maps keys to other shards.
//
// A shard's share of the ring strays from 1/n by about 1/sqrt(VirtualNodes) of it,
// 2.2%. More points would even that out, but no longer fit a processor's cache.
const VirtualNodes = 2048

// salt is hashed into every point. Its value is searched for, not arbitrary: by
// luck of the draw most salts leave some ring less even than we promise. It is the
// smallest one with which, on every ring of the shards 0 to n-1, the largest share is
//
//	at most 1/n + 0.8%         n = 2 to 64
//	at most 1.04 x the average n = 2 to 16
//	at most 1.05 x the average n = 17 to 64
//	at most 1.07 x the average n = 128, 256, 512, 1024
//
// The limits leave room for the draw of the keys: 1.05 for 1,000,000 keys on 16
// shards; 1/n + 1% of keys moved when the last shard is added or any one is removed.
// Shares are exact, taken from the lengths of the arcs. TestSharesAreEven holds them
// to these limits, BenchmarkSaltSearch searches again.
const salt = 2706

// MaxShard is the largest shard id.
const MaxShard = 1<<16 - 1

// Errors of New.
var (
	ErrNoShards   = errors.New("ring needs at least one shard")
	ErrShardRange = fmt.Errorf("shard id out of range 0 to %d", MaxShard)
	ErrShardTwice = errors.New("shard id given twice")
)

func check(shards []int) error {
	if len(shards) == 0 {
		return ErrNoShards
	}
	seen := make(map[int]bool, len(shards))
	for _, shard := range shards {
		if shard < 0 || shard > MaxShard {
			return fmt.Errorf("%w: %d", ErrShardRange, shard)
		}
		if seen[shard] {
			return fmt.Errorf("%w: %d", ErrShardTwice, shard)
		}
		seen[shard] = true
	}
	return nil
}

// positionMask keeps the part of a hash that is its position on the ring.
const positionMask uint64 = (1<<32 - 1) << 32

// point returns one virtual node (0 to VirtualNodes-1) of a shard: its position in
// the upper 32 bits, its shard in the lower ones. The position is that of xxhash64
// of the salt and the shard as 4 bytes big-endian each, then the node as 8.
func point(salt, shard, node int) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint32(b[:4], uint32(salt))
	binary.BigEndian.PutUint32(b[4:8], uint32(shard))
	binary.BigEndian.PutUint64(b[8:], uint64(node))
	return xxhash.Sum64(b[:])&positionMask | uint64(shard)
}

// free marks a place of the table that holds no point yet. It is larger than any
// point, and no shard has such an id.
const free = ^uint64(0)

// overhang is the number of places past the last home, for points pushed over the
// end. With a third of the table free, none is pushed nearly so far: the chance falls
// by more than half with each place, and on rings of up to 1,024 shards 17 is the most.
const overhang = 128

// fill builds the table. It is an ordered hash table (Amble and Knuth 1974): a point
// belongs to its home or the next places after it, and pushes on any larger point in its
// way. So the points end up sorted in linear time.
func (r *Ring) fill() {
	total := len(r.shards) * VirtualNodes
	r.homes = uint64(total + total/2)
	r.table = make([]uint64, r.homes+overhang)
	for i := range r.table {
		r.table[i] = free
	}
	for _, shard := range r.shards {
		for node := range VirtualNodes {
			p := point(salt, shard, node)
			for i := r.home(p); p != free; i++ {
				if at := r.table[i]; p < at {
					r.table[i], p = p, at
				}
			}
		}
	}

	// Hashes after the last point belong to the first point's shard.
	next := positionMask | r.first()&^positionMask
	for i := len(r.table) - 1; i >= 0; i-- {
		if r.table[i] == free {
			r.table[i] = next
		}
		next = r.table[i]
	}
}

// first returns the first point in the table, while free places are still free.
func (r *Ring) first() uint64 {
	i := 0
	for r.table[i] == free {
		i++
	}
	return r.table[i]
}
