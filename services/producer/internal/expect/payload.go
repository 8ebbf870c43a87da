package expect

import (
	"encoding/binary"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Payload sizes in bytes. The smallest holds the longest counter and a space.
const (
	MinSize = 12
	MaxSize = 512<<10 - 1024 // an event is at most 512 KiB with its key and headers
)

const digestSize = 8

// payloads makes the payload of any event of a run again and again: the key's
// own counter in decimal, a space, and filler that seed, key and counter decide.
type payloads struct {
	seed uint64
	size int
}

// fill writes the payload of a key's event into buf, which is size bytes long.
// The filler is letters from a to p, eight at a time from splitmix64
// (Steele et al. 2014): cheap, and another one for every event.
func (p payloads) fill(buf []byte, key int, counter uint32) {
	n := len(strconv.AppendUint(buf[:0], uint64(counter), 10))
	buf[n] = ' '
	rest := buf[n+1:]
	x := p.seed ^ uint64(key)<<32 ^ uint64(counter)
	for len(rest) >= 8 {
		x += 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(rest, letters(x))
		rest = rest[8:]
	}
	if len(rest) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], letters(x+0x9e3779b97f4a7c15))
		copy(rest, last[:])
	}
}

func letters(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return x&0x0f0f0f0f0f0f0f0f + 0x6161616161616161
}

// A link is a digest (8 bytes, big-endian) followed by a payload, in one piece
// so that the ledger's next digest is one call: xxhash64(digest || payload).
type link []byte

func (l link) payload() []byte { return l[digestSize:len(l):len(l)] }

// after returns the digest once the link's payload was applied to digest.
func (l link) after(digest uint64) uint64 {
	binary.BigEndian.PutUint64(l, digest)
	return xxhash.Sum64(l)
}
