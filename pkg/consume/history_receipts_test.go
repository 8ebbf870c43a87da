package consume

import (
	"maps"
	"slices"

	"example.com/lockstep/pkg/frame"
)

// asked is the request for a receipt.
type asked struct {
	to  receiptTo
	seq uint64
}

// sent notes the receipts that a frame's events ask for.
func (h *history) sent(data []byte) {
	var f frame.Frame
	if err := f.Decode(data); err != nil {
		h.broken("a frame cannot be read: %v", err)
	}
	for i := range f.Events {
		h.asked[asked{receiptTo{f.Session.Publisher, f.Session.Generation}, f.Events[i].Seq}] = slices.Clone(f.Events[i].Data)
	}
}

// owed are the events whose receipts a commit owes.
func (h *history) owed(encoded []byte) (events [][]byte) {
	owed, err := decodeOwed(encoded)
	if err != nil {
		h.broken("the receipts that a commit owes: %v", err)
	}
	for to, seqs := range owed {
		for _, seq := range seqs {
			events = append(events, h.asked[asked{to, seq}])
		}
	}
	return events
}

// owes says that a commit has settled events: it owes a receipt for each, and for no other.
func (h *history) owes(encoded []byte, settled [][]byte) {
	for _, data := range settled {
		h.settled[string(data)] = true
	}
	owed := h.owed(encoded)
	slices.SortFunc(owed, slices.Compare)
	slices.SortFunc(settled, slices.Compare)
	if !slices.EqualFunc(owed, settled, slices.Equal[[]byte]) {
		h.broken("a commit settles%s and owes receipts for%s", summary(slices.Concat(settled...)), summary(slices.Concat(owed...)))
	}
}

// tellSettled sends the receipts that a commit owes.
func (h *history) tellSettled(encoded []byte) {
	for _, data := range h.owed(encoded) {
		if !h.settled[string(data)] {
			h.broken("a receipt is sent for event%s, which was never applied", summary(data))
		}
		h.told[string(data)] = true
	}
}

// checkReceipts requires that a receipt was sent for each event that is applied or dropped.
func (h *history) checkReceipts(courses map[string]course) {
	for _, key := range slices.Sorted(maps.Keys(courses)) {
		for events := courses[key].past; len(events) > 0; events = events[3:] {
			if !h.told[string(events[:3])] {
				h.broken("no receipt was sent for event%s of key %s", summary(events[:3]), key)
			}
		}
	}
}
