package expect

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

const (
	digestSize = 8
	maxCounter = 11 // bytes of the longest counter, and a space
)

// payloads makes the payload of any event of a run again and again: the key's
// own counter in decimal, a space, and what seed, key and counter decide.
type payloads struct {
	seed    uint64
	size    Size // of payloads that are not lines
	content contentKind
	lines   *lines // of a file
}

func newPayloads(p Payload, seed uint64) (payloads, error) {
	if err := p.Check(); err != nil {
		return payloads{}, err
	}
	out := payloads{seed: seed, content: p.Content.kind}
	if out.content != kindFile {
		out.size = p.size()
		return out, nil
	}
	var err error
	out.lines, err = readLines(p.Content.path)
	return out, err
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

// newLink returns a link that has room for any of the payloads.
func (p *payloads) newLink() link {
	most := p.size.Most
	if p.lines != nil {
		most = maxCounter + p.lines.longest
	}
	return make(link, digestSize, digestSize+most)
}

// write returns the link with the payload of a key's event in it.
func (p *payloads) write(l link, key int, counter uint32) link {
	r := random(p.seed ^ uint64(key)<<32 ^ uint64(counter))
	l = append(strconv.AppendUint(l[:digestSize], uint64(counter), 10), ' ')
	if p.content == kindFile {
		return append(l, p.lines.at(r.below(p.lines.len()))...)
	}
	size := p.size.Least
	if p.size.Most > size {
		size += r.below(p.size.Most - size + 1)
	}
	n := len(l)
	l = l[:digestSize+size]
	if p.content == kindCompressible {
		r.words(l[n:])
	} else {
		r.bytes(l[n:])
	}
	return l
}

// random is splitmix64 (Steele et al. 2014): cheap, and from each start another
// sequence.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below draws from 0 to n-1, all with the same chance but for some 10^-12
// (Lemire's multiplication).
func (r *random) below(n int) int {
	drawn, _ := bits.Mul64(r.next(), uint64(n))
	return int(drawn)
}

// bytes fills buf with bytes.
func (r *random) bytes(buf []byte) {
	for ; len(buf) >= 8; buf = buf[8:] {
		binary.LittleEndian.PutUint64(buf, r.next())
	}
	if len(buf) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.next())
		copy(buf, last[:])
	}
}

// vocabulary is 16 words of eight bytes each.
const vocabulary = "account balance deposit payment receipt invoice product service " +
	"address country company quality manager history problem million "

// words fills buf with words, drawn sixteen at a time.
func (r *random) words(buf []byte) {
	var drawn uint64
	for i := 0; len(buf) > 0; i++ {
		if i%16 == 0 {
			drawn = r.next()
		}
		buf = buf[copy(buf, vocabulary[drawn%16*8:][:8]):]
		drawn /= 16
	}
}
