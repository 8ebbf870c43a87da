package expect

import (
	"slices"

	"example.com/lockstep/pkg/store"
)

// Limits of the search for the chain of a key with events given up: so many
// chains side by side (12 events either way), so many digests altogether.
const (
	maxChains  = 1 << 12
	maxDigests = 1 << 25
	maxLate    = 1 << 22 // in all, for states that begin late
)

// chain is what some of a key's events come to.
type chain struct{ count, sum uint64 }

func (c chain) apply(l link) chain { return chain{c.count + 1, l.after(c.sum)} }

// search looks for the choice of a key's events given up that explains a proof.
type search struct {
	book       *Book
	key        int
	exceptions []exception
	digests    int // so far
}

// explains tells whether a state that began at s can have come to the proof, if the events that delete and follow were not
// applied; or, if kept, were applied like any other and deleted nothing. It is not ok if there are too many choices.
func (h *search) explains(s start, kept bool, got store.Proof) (found, ok bool) {
	certain, open := s.certain, s.open // ahead of us
	if kept {
		certain, open = certain+s.missed, open+s.skipped
	}
	if got.Count < certain || got.Count > certain+open {
		return false, true
	}
	want := chain{got.Count, got.Chain}
	chains := []chain{{}}
	for ev := range h.book.again(h.key, h.exceptions, s.after) {
		if ev.outcome == NotStored || ev.deletes && !kept {
			continue
		}
		if h.digests += len(chains); h.digests > maxDigests {
			return false, false
		}
		if ev.outcome == Stored {
			certain--
			for i := range chains {
				chains[i] = chains[i].apply(ev.link)
			}
			continue
		}
		open--
		var next []chain
		for _, c := range chains {
			if c.count+certain+open >= want.count {
				next = append(next, c)
			}
			if c.count+1+certain <= want.count {
				next = append(next, c.apply(ev.link))
			}
		}
		if chains = next; len(chains) > maxChains {
			return false, false
		}
	}
	return slices.Contains(chains, want), true
}
