package publish

import "sync"

const (
	askedPage  = 1024
	askedPages = 8192 // then the oldest page is forgotten: its receipts are counted as lost
)

// asked remembers the tags of events that wait for their receipts.
type asked struct {
	mu     sync.Mutex
	pages  map[uint64]*page // by seq / askedPage
	oldest uint64
}

type page struct {
	waits [askedPage / 64]uint64
	tags  [askedPage]uint64
	left  int
}

func newAsked() *asked { return &asked{pages: make(map[uint64]*page)} }

func (a *asked) add(seq, tag uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, i := seq/askedPage, seq%askedPage
	p := a.pages[n]
	if p == nil {
		p = new(page)
		a.pages[n] = p
		if len(a.pages) == 1 {
			a.oldest = n
		}
		for ; len(a.pages) > askedPages; a.oldest++ {
			delete(a.pages, a.oldest)
		}
	}
	p.waits[i/64] |= 1 << (i % 64)
	p.tags[i] = tag
	p.left++
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
	if p.left--; p.left == 0 {
		delete(a.pages, n)
	}
	return p.tags[i], true
}

// drop forgets an event that was given up.
func (a *asked) drop(seq uint64) { a.take(seq) }
