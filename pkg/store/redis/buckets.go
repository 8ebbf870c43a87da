package redis

import (
	"fmt"
	"strconv"

	"example.com/lockstep/pkg/store"
)

// bucketed is the order of some keys by the hashes that hold their states.
type bucketed struct {
	order []int // indices of the keys, hash by hash
	count [buckets]int
	used  int // hashes with a key
}

// sorted puts keys in order. It returns store.ErrNoKey for a key without a byte: the field of that name holds the marker.
func sorted[K string | store.Pair](keys []K) (b bucketed, err error) {
	of := make([]uint8, len(keys))
	for i := range keys {
		var key string
		switch k := any(&keys[i]).(type) {
		case *string:
			key = *k
		case *store.Pair:
			key = k.Key
		}
		if key == marker {
			return b, store.ErrNoKey
		}
		n := bucketOf(key)
		of[i] = uint8(n)
		b.count[n]++
	}
	var next [buckets]int
	at := 0
	for n, c := range b.count {
		next[n] = at
		at += c
		if c > 0 {
			b.used++
		}
	}
	b.order = make([]int, len(keys))
	for i, n := range of {
		b.order[next[n]] = i
		next[n]++
	}
	return b, nil
}

// touched are the record and the hashes that hold the states of some keys of a shard.
func (s *Store) touched(shard int, b *bucketed) []string {
	prefix := s.slotPrefix(shard)
	keys := make([]string, 1, 1+b.used)
	keys[0] = prefix + "record"
	for n, c := range b.count {
		if c > 0 {
			keys = append(keys, prefix+"state:"+strconv.Itoa(n))
		}
	}
	return keys
}

// loadArgs are the arguments with which load.lua reads the states of keys.
func (b *bucketed) loadArgs(version store.Version, keys []string) []any {
	args := make([]any, 1, 1+3*b.used+len(keys))
	args[0] = string(version)
	i := 0
	for n, c := range b.count {
		if c == 0 {
			continue
		}
		args = append(args, stateMarkers[n], c+1, marker)
		for _, at := range b.order[i : i+c] {
			args = append(args, keys[at])
		}
		i += c
	}
	return args
}

// values puts the values that load.lua returned into the order of their keys.
func (b *bucketed) values(res any) ([][]byte, error) {
	values, _ := res.([]any)
	if len(values) != len(b.order) {
		return nil, fmt.Errorf("read %d states: Redis returned %d", len(b.order), len(values))
	}
	out := make([][]byte, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok {
			out[b.order[i]] = []byte(s)
		}
	}
	return out, nil
}
