package publish

import (
	"math/bits"
	"slices"
	"sync"
)

const (
	askedPage = 1024     // seqs of one page
	maxAsked  = 32 << 20 // bytes: 4 million outstanding receipts. Beyond that the oldest page is dropped, with its receipts
	pageBytes = 340      // of a page and its place in the map, beside its tags
)

// asked remembers the tags of events that wait for their receipts.
type asked struct {
	mu     sync.Mutex
	pages  map[uint64]*page // by seq / askedPage
	oldest uint64
	bytes  int
	max    int // of bytes
}

type page struct {
	asked [askedPage / 64]uint64
	waits [askedPage / 64]uint64 // of those that asked
	tags  []uint64               // of those that asked, by seq
	left  int
}

func newAsked() *asked { return &asked{pages: make(map[uint64]*page), max: maxAsked} }

func (a *asked) add(seq, tag uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, i := seq/askedPage, seq%askedPage
	p := a.pages[n]
	if p == nil {
		p = new(page)
		a.pages[n] = p
		a.bytes += pageBytes
		if len(a.pages) == 1 {
			a.oldest = n
		}
	}
	before := cap(p.tags)
	p.tags = slices.Insert(p.tags, p.rank(i), tag) // at the end: seqs rise
	a.bytes += 8 * (cap(p.tags) - before)
	p.asked[i/64] |= 1 << (i % 64)
	p.waits[i/64] |= 1 << (i % 64)
	p.left++
	for ; a.bytes > a.max && a.oldest < n; a.oldest++ {
		a.forget(a.oldest)
	}
}

// take returns the tag of an event that asked, once.
func (a *asked) take(seq uint64) (uint64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, i := seq/askedPage, seq%askedPage
	p := a.pages[n]
	if p == nil || p.waits[i/64]&(1<<(i%64)) == 0 {
		return 0, false
	}
	p.waits[i/64] &^= 1 << (i % 64)
	tag := p.tags[p.rank(i)]
	if p.left--; p.left == 0 {
		a.forget(n)
	}
	return tag, true
}

// drop forgets an event that was given up.
func (a *asked) drop(seq uint64) { a.take(seq) }

func (a *asked) forget(n uint64) {
	if p := a.pages[n]; p != nil {
		a.bytes -= pageBytes + 8*cap(p.tags)
		delete(a.pages, n)
	}
}

// rank is how many of the page's seqs before the i-th one asked.
func (p *page) rank(i uint64) int {
	n := bits.OnesCount64(p.asked[i/64] & (1<<(i%64) - 1))
	for _, word := range p.asked[:i/64] {
		n += bits.OnesCount64(word)
	}
	return n
}
