// Package pick says which key each event of a load is for. It is pure: a
// distribution, a number of keys and a seed decide all picks, or else a file of
// recorded events does.
//
// A pick takes a constant time, whatever the number of keys, and allocates
// nothing. Keys are numbered from 0; where some are hotter, they come first.
package pick

import (
	"fmt"
	"math/rand/v2"
)

// Picker picks the keys of events, one after another. It is used by one
// goroutine.
type Picker interface {
	Next() int
}

// New returns a picker from a number of keys. An error says why the
// distribution cannot be had of so many. A recorded one has its picker from Open.
func New(d Distribution, keys int, seed uint64) (Picker, error) {
	if err := d.Check(keys); err != nil {
		return nil, err
	}
	if d.Recorded() {
		return nil, fmt.Errorf("distribution %s is picked from by its trace: open it", d)
	}
	draws := draws{*rand.NewPCG(seed, 0)}
	switch d.kind {
	case kindSequential:
		return &sequential{keys: keys}, nil
	case kindZipf:
		return newZipf(draws, d.exponent, keys), nil
	case kindHot:
		return &hot{draws: draws, share: d.share, hot: d.hot, rest: keys - d.hot}, nil
	default:
		return &uniform{draws: draws, keys: keys}, nil
	}
}

// uniform picks all keys with the same chance.
type uniform struct {
	draws
	keys int
}

func (u *uniform) Next() int { return u.below(u.keys) }

// sequential picks all keys in turn.
type sequential struct {
	keys, next int
}

func (s *sequential) Next() int {
	key := s.next
	if s.next++; s.next == s.keys {
		s.next = 0
	}
	return key
}

// hot picks one of the first keys for a share of all events, and one of the
// rest for the others.
type hot struct {
	draws
	share     float64
	hot, rest int // numbers of keys
}

func (h *hot) Next() int {
	if h.unit() < h.share {
		return h.below(h.hot)
	}
	return h.hot + h.below(h.rest)
}
