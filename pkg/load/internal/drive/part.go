package drive

import (
	"time"

	"example.com/lockstep/pkg/load/internal/pace"
)

// part is one producer's part of a schedule that several share: of so many, every
// one takes the next event in turn.
type part struct {
	pacer    pace.Pacer
	part, of uint64
}

// Intended returns when the part's event k is due.
func (p part) Intended(k uint64) time.Duration { return p.pacer.Intended(k*p.of + p.part) }

// Events returns how many of the part's events are due before d.
func (p part) Events(d time.Duration) uint64 { return shareOf(p.pacer.Events(d), p.part, p.of) }

// shareOf returns how many of n events dealt out in turn one part gets.
func shareOf(n, part, of uint64) uint64 { return (n + of - 1 - part) / of }
