package storetest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"example.com/lockstep/pkg/store"
)

// slot is all of a shard. The zero value is an empty one.
type slot struct {
	topology string // "" if there is no record
	needs    uint64
	record   store.Record
	dedup    map[string][]byte
	named    [Hashes]store.Version // the markers, as the record names them
	hashes   [Hashes]hash
}

// hash holds some of a shard's states, the heads of its lists, or some events of its lists.
type hash struct {
	marker store.Version // of the last commit that wrote to it; "": there is no such hash
	fields map[string][]byte
}

// Hashes is how many hashes a slot of a Memory has beside its record: so few that most of them are touched by small tests.
const Hashes = memoryEvents + 2

const (
	memoryBuckets = 2               // hashes of states
	memoryHeads   = memoryBuckets   // number of the hash of heads
	memoryEvents  = memoryHeads + 1 // number of the first hash of events
	memoryRun     = 2               // events of a list that lie in one hash before the next ones lie in another
)

func bucketOf(key string) int { return int(key[len(key)-1]) % memoryBuckets }

// eventsOf is the hash that holds a key's event with that index.
func eventsOf(key string, index uint64) int {
	return memoryEvents + int((index/memoryRun+uint64(bucketOf(key)))%(Hashes-memoryEvents))
}

func eventField(key string, index uint64) string {
	return string(binary.BigEndian.AppendUint64(nil, index)) + key
}

// keyOf is the key of an event with that field.
func keyOf(field string) string { return field[8:] }

// put sets fields or, with nil, removes them, and leaves the map of a snapshot as it is.
func (h *hash) put(fields ...store.Pair) {
	if h.fields = maps.Clone(h.fields); h.fields == nil {
		h.fields = make(map[string][]byte)
	}
	for _, f := range fields {
		if f.Value == nil {
			delete(h.fields, f.Key)
		} else {
			h.fields[f.Key] = slices.Clone(f.Value)
		}
	}
}

// torn tells whether any part of the slot is missing or older than the rest.
func (s *slot) torn() bool {
	for i, h := range s.hashes {
		if h.marker != s.named[i] || h.marker == "" && h.fields != nil {
			return true
		}
	}
	return false
}

// markers are the slot's version and all its markers.
func (s *slot) markers() store.Markers {
	all := []store.Version{s.record.Version}
	for i, h := range s.hashes {
		all = append(all, s.named[i], h.marker)
	}
	return store.Markers(fmt.Sprint(all))
}

func (s *slot) tornError(shard int) error {
	return &store.TornError{Part: fmt.Sprintf("shard %d", shard), Markers: s.markers()}
}

// states returns the states of keys, or store.ErrTorn if one of their buckets is.
func (s *slot) states(keys []string) (out [][]byte, err error) {
	out = make([][]byte, len(keys))
	for i, k := range keys {
		if k == "" {
			return nil, store.ErrNoKey
		}
		n := bucketOf(k)
		if s.hashes[n].marker != s.named[n] {
			return nil, store.ErrTorn
		}
		out[i] = slices.Clone(s.hashes[n].fields[k])
	}
	return out, nil
}

// commit writes to the record and to the other hashes.
func (s *slot) commit(c *store.Commit, writes *[Hashes][]store.Pair) {
	r := &s.record
	r.Version, r.Position, r.Late, r.LateLast = c.New, c.Position, c.Late, c.LateLast
	if r.Owed = slices.Clone(c.Owed); len(r.Owed) == 0 {
		r.Owed = nil
	}
	if c.Caps != "" {
		r.Caps = c.Caps
	}
	if len(c.Lists) > 0 {
		s.needs = store.FormatLists
	}
	s.dedup = maps.Clone(s.dedup) // that of a snapshot stays
	if s.dedup == nil {
		s.dedup = make(map[string][]byte)
	}
	for _, d := range c.Dedup {
		if d.Value == nil {
			delete(s.dedup, d.Key)
		} else {
			s.dedup[d.Key] = slices.Clone(d.Value)
		}
	}
	for n := range s.hashes {
		if len(writes[n]) > 0 {
			s.named[n], s.hashes[n].marker = c.New, c.New
			s.hashes[n].put(writes[n]...)
		}
	}
}

// writesOf are the fields that a commit sets or, with nil, removes in each hash, or store.ErrNoKey.
func writesOf(c *store.Commit) (writes [Hashes][]store.Pair, err error) {
	put := func(n int, field string, value []byte) {
		writes[n] = append(writes[n], store.Pair{Key: field, Value: value})
	}
	for _, st := range c.States {
		if st.Key == "" {
			return writes, store.ErrNoKey
		}
		put(bucketOf(st.Key), st.Key, st.Value)
	}
	for _, l := range c.Lists {
		if l.Key == "" {
			return writes, store.ErrNoKey
		}
		put(memoryHeads, l.Key, l.Head)
		for index := l.Drop; index < l.Till; index++ {
			put(eventsOf(l.Key, index), eventField(l.Key, index), nil)
		}
		for i, event := range l.Events {
			index := l.At + uint64(i)
			put(eventsOf(l.Key, index), eventField(l.Key, index), event)
		}
	}
	return writes, nil
}
