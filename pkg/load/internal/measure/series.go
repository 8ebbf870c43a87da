package measure

import "time"

// A load over time is kept in at most maxPoints points. They begin with
// firstInterval each; when the load outlasts them, every two become one.
const (
	maxPoints     = 300
	firstInterval = 100 * time.Millisecond
)

// Series is what happened over time, in a memory that does not grow with it.
// P is a point, which can be added up. It is not safe for concurrent use.
type Series[P any, S point[P]] struct {
	Interval time.Duration // of each point
	Points   []P           // from the start of the load
}

// point is a pointer to what a series consists of.
type point[P any] interface {
	*P
	Add(other *P) // other may be empty
}

// At returns the point that a moment falls into, made if it was not there.
func (s *Series[P, S]) At(t time.Duration) *P {
	if s.Interval == 0 {
		s.Interval = firstInterval
	}
	for t >= s.Interval*maxPoints {
		s.halve()
	}
	i := int(max(t, 0) / s.Interval)
	for len(s.Points) <= i {
		var p P
		s.Points = append(s.Points, p)
	}
	return &s.Points[i]
}

// halve makes every two points one.
func (s *Series[P, S]) halve() {
	n := (len(s.Points) + 1) / 2
	for i := range n {
		p := s.Points[2*i]
		if 2*i+1 < len(s.Points) {
			S(&p).Add(&s.Points[2*i+1])
		}
		s.Points[i] = p
	}
	clear(s.Points[n:])
	s.Points = s.Points[:n]
	s.Interval *= 2
}

// Add adds what another series has, at the same times. The other may become
// coarser by it.
func (s *Series[P, S]) Add(other *Series[P, S]) {
	if len(other.Points) == 0 {
		return
	}
	if s.Interval == 0 {
		s.Interval = other.Interval
	}
	s.Coarsen(other.Interval)
	other.Coarsen(s.Interval)
	for i := range other.Points {
		S(s.At(time.Duration(i) * s.Interval)).Add(&other.Points[i])
	}
}

// Coarsen makes the interval at least as long as the one given.
func (s *Series[P, S]) Coarsen(interval time.Duration) {
	if s.Interval == 0 {
		s.Interval = firstInterval
	}
	for s.Interval < interval {
		s.halve()
	}
}
