package consume

import "sync"

// places bounds how many attempts of a worker run at a time. Its claimants, the shards and their lists, share the places: one that
// becomes free goes to the claimant that has the fewest, and each claimant leaves one place for every other.
type places struct {
	mu        sync.Mutex // guards what follows, and the claimants
	max, free int
	claimants int
	waiting   []*claimant // in the order of their requests
}

// claimant is one that takes places. Its methods may be called concurrently, except for take and leave.
type claimant struct {
	of      *places
	used    int
	waits   bool
	granted chan struct{} // cap 1: receives the place that take could not give at once
}

func newPlaces(max int) *places { return &places{max: max, free: max} }

// join adds a claimant.
func (p *places) join() *claimant {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claimants++
	return &claimant{of: p, granted: make(chan struct{}, 1)}
}

// take takes a place, or tells that there is none: granted receives once there is one.
func (c *claimant) take() bool {
	p := c.of
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waits {
		return false
	}
	if len(p.waiting) == 0 && p.may(c) {
		p.give(c)
		return true
	}
	c.waits = true
	p.waiting = append(p.waiting, c)
	p.share() // those before it may be bounded by their own number
	if !c.waits {
		<-c.granted
		return true
	}
	return false
}

// put gives a place back.
func (c *claimant) put() {
	p := c.of
	p.mu.Lock()
	defer p.mu.Unlock()
	c.used--
	p.free++
	p.share()
}

// forgo ends the wait that take began.
func (c *claimant) forgo() {
	p := c.of
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgo(c)
	p.share()
}

func (p *places) forgo(c *claimant) {
	if c.waits {
		c.waits = false
		for i, w := range p.waiting {
			if w == c {
				p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
				break
			}
		}
	}
	select {
	case <-c.granted:
		c.used--
		p.free++
	default:
	}
}

// leave ends the claimant's part. Places that it has are given back later, by put.
func (c *claimant) leave() {
	p := c.of
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgo(c)
	p.claimants--
	p.share()
}

// may tells whether a claimant may have one more place.
func (p *places) may(c *claimant) bool {
	return p.free > 0 && (c.used == 0 || c.used < p.max-(p.claimants-1))
}

func (p *places) give(c *claimant) {
	p.free--
	c.used++
}

// share gives the free places to the claimants that wait.
func (p *places) share() {
	for p.free > 0 {
		best := -1
		for i, c := range p.waiting {
			if p.may(c) && (best < 0 || c.used < p.waiting[best].used) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		c := p.waiting[best]
		p.waiting = append(p.waiting[:best], p.waiting[best+1:]...)
		c.waits = false
		p.give(c)
		c.granted <- struct{}{}
	}
}
