// Package search looks for the highest rate that keeps a bound. It is pure: it
// says which rate to try next, and is told how that went.
package search

// precision is how close the answer comes to the highest rate, as a share of it.
const precision = 0.05

// Search is one search. It doubles the rate until one is too high, and then
// halves the gap until it is small.
type Search struct {
	next    uint64
	held    uint64 // the highest rate that kept the bound, 0 if none did
	broke   uint64 // the lowest that did not, 0 if none
	highest uint64 // that may be tried
}

// New begins at a rate and tries none above the highest.
func New(first, highest uint64) *Search { return &Search{next: min(first, highest), highest: highest} }

// Next returns the rate to try, and false when the search is over.
func (s *Search) Next() (rate uint64, ok bool) { return s.next, s.next > 0 }

// Best returns the highest rate that kept the bound, 0 if none did.
func (s *Search) Best() uint64 { return s.held }

// Tried tells how the rate went that Next returned.
func (s *Search) Tried(held bool) {
	if held {
		s.held = max(s.held, s.next)
	} else if s.broke == 0 || s.next < s.broke {
		s.broke = s.next
	}
	s.next = s.choose()
}

func (s *Search) choose() uint64 {
	switch {
	case s.broke == 0: // none was too high yet
		if s.held >= s.highest {
			return 0
		}
		return min(2*s.held, s.highest)
	case s.held == 0: // none was low enough yet
		return s.broke / 2
	}
	gap := s.broke - s.held
	if gap <= 1 || float64(gap) <= precision*float64(s.held) {
		return 0
	}
	return s.held + gap/2
}
