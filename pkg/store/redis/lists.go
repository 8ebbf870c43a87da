package redis

import (
	"encoding/binary"
	"strconv"

	"example.com/lockstep/pkg/store"
)

// runLength is how many events of a list lie in one hash before the next ones lie in another.
const runLength = 64

// eventsBucket is the number of the hash that holds a key's event with that index.
func eventsBucket(of int, index uint64) int {
	return 1 + int((index/runLength+uint64(of))%(buckets-1))
}

// appendEventField appends the field of a key's event with that index.
func appendEventField(b []byte, key string, index uint64) []byte {
	return append(binary.BigEndian.AppendUint64(b, index), key...)
}

// listFields are what a commit sets and removes in the hashes of lists. A nil one is that of a commit without lists.
type listFields [buckets]struct {
	set    []any // fields with their values
	remove []any // fields
}

// fieldsOf returns what a commit of these lists sets and removes. It returns store.ErrNoKey for a key without a byte.
func fieldsOf(lists []store.List) (*listFields, error) {
	if len(lists) == 0 {
		return nil, nil
	}
	f := new(listFields)
	for i := range lists {
		l := &lists[i]
		if l.Key == marker {
			return nil, store.ErrNoKey
		}
		if heads := &f[headsBucket]; l.Head == nil {
			heads.remove = append(heads.remove, l.Key)
		} else {
			heads.set = append(heads.set, l.Key, l.Head)
		}
		of := bucketOf(l.Key)
		for index := l.Drop; index < l.Till; index++ {
			hash := &f[eventsBucket(of, index)]
			hash.remove = append(hash.remove, appendEventField(nil, l.Key, index))
		}
		for at, event := range l.Events {
			index := l.At + uint64(at)
			hash := &f[eventsBucket(of, index)]
			hash.set = append(hash.set, appendEventField(nil, l.Key, index), event)
		}
	}
	return f, nil
}

// each calls do for each hash that is written to.
func (f *listFields) each(do func(n int, set, remove []any)) {
	if f == nil {
		return
	}
	for n := range f {
		if hash := &f[n]; len(hash.set)+len(hash.remove) > 0 {
			do(n, hash.set, hash.remove)
		}
	}
}

// touched appends the hashes that are written to.
func (f *listFields) touched(keys []string, prefix string) []string {
	f.each(func(n int, _, _ []any) { keys = append(keys, prefix+"aside:"+strconv.Itoa(n)) })
	return keys
}

// size is the number of commit.lua's arguments for lists.
func (f *listFields) size() (size int) {
	f.each(func(_ int, set, remove []any) { size += 5 + len(set) + len(remove) })
	return size
}

// counts appends the arguments that say how many fields of each hash are set and removed.
func (f *listFields) counts(args []any) []any {
	f.each(func(n int, set, remove []any) { args = append(args, asideMarkers[n], len(set)/2+1, len(remove)) })
	return args
}

// fields appends the fields, for each hash its marker first.
func (f *listFields) fields(args []any, version store.Version) []any {
	f.each(func(_ int, set, remove []any) {
		args = append(append(append(args, marker, string(version)), set...), remove...)
	})
	return args
}
