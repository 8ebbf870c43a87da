package expect

import (
	"encoding/binary"
	"math/bits"
)

// content makes what payloads hold after their counter, as a Payload asks for it.
type content struct {
	size  Size // of payloads that are not lines
	kind  contentKind
	lines *lines // of a file
}

func newContent(p Payload) (content, error) {
	if err := p.Check(); err != nil {
		return content{}, err
	}
	c := content{kind: p.Content.kind}
	if c.kind != kindFile {
		c.size = p.size()
		return c, nil
	}
	var err error
	c.lines, err = readLines(p.Content.path)
	return c, err
}

// longest returns how many bytes a payload has at most, with its counter.
func (c *content) longest() int {
	if c.kind == kindFile {
		return maxCounter + c.lines.longest
	}
	return c.size.Most
}

// append appends what r decides to buf, for a payload whose counter has so many bytes. buf has room for it.
func (c *content) append(buf []byte, r *random, counter int) []byte {
	if c.kind == kindFile {
		return append(buf, c.lines.at(r.below(c.lines.len()))...)
	}
	size := c.size.Least
	if c.size.Most > size {
		size += r.below(c.size.Most - size + 1)
	}
	n := len(buf)
	buf = buf[:n+size-counter]
	draws := *r // in a register
	if c.kind == kindCompressible {
		draws.words(buf[n:])
	} else {
		draws.bytes(buf[n:])
	}
	*r = draws
	return buf
}

// random is splitmix64 (Steele et al. 2014): cheap, and from each start another
// sequence. It is a rand.Source.
type random uint64

// Uint64 returns the next number.
func (r *random) Uint64() uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below draws from 0 to n-1, all with the same chance but for some 10^-12
// (Lemire's multiplication).
func (r *random) below(n int) int {
	drawn, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(drawn)
}

// bytes fills buf with bytes.
func (r *random) bytes(buf []byte) {
	for ; len(buf) >= 8; buf = buf[8:] {
		binary.LittleEndian.PutUint64(buf, r.Uint64())
	}
	if len(buf) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.Uint64())
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
			drawn = r.Uint64()
		}
		buf = buf[copy(buf, vocabulary[drawn%16*8:][:8]):]
		drawn /= 16
	}
}
