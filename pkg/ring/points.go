package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// VirtualNodes is the number of points of each shard. It is the same for every
// ring, else adding a shard would move keys between the others, and it is part of
// the format: another number maps keys to other shards.
//
// A shard's share of the keys strays from 1/n by about 1/sqrt(VirtualNodes) of it.
// 16,384 keeps that below 1% for large n, and below 0.3% of all keys for two shards.
const VirtualNodes = 16384

// MaxShard is the largest shard id.
const MaxShard = shardMask

const shardMask = 1<<16 - 1

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

// point returns the place of one virtual node (0 to VirtualNodes-1) of a shard:
// xxhash64 of both as 8 bytes big-endian each, its lower 16 bits replaced by the shard.
func point(shard, node int) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(shard))
	binary.BigEndian.PutUint64(b[8:], uint64(node))
	return xxhash.Sum64(b[:])&^shardMask | uint64(shard)
}

// place fills points and index. Points are uniform, so a counting sort by slice
// leaves only a few in each to put in order: the whole takes linear time. Hashing
// each point twice is cheaper than keeping a second copy of all of them.
func (r *Ring) place() {
	total := len(r.shards) * VirtualNodes
	sliceBits := uint(bits.Len(uint(total))) - 3
	r.shift = 64 - sliceBits
	r.points = make([]uint64, total+1)
	r.index = make([]uint32, 1<<sliceBits)

	for p := range r.each {
		r.index[p>>r.shift]++
	}
	end := uint32(0)
	for b := range r.index {
		end += r.index[b]
		r.index[b] = end
	}
	// Each slice is filled from its end, which leaves its first point in the index.
	for p := range r.each {
		at := &r.index[p>>r.shift]
		*at--
		r.points[*at] = p
	}
	for b, first := range r.index {
		last := uint32(total)
		if b+1 < len(r.index) {
			last = r.index[b+1]
		}
		slices.Sort(r.points[first:last])
	}
	r.points[total] = r.points[0] | ^uint64(shardMask)
}

// each yields every point of the ring, unsorted.
func (r *Ring) each(yield func(uint64) bool) {
	for _, shard := range r.shards {
		for node := range VirtualNodes {
			if !yield(point(shard, node)) {
				return
			}
		}
	}
}
