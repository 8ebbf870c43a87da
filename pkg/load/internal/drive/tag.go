package drive

import "time"

// A tag travels with an event through the publisher, and so spares us a record
// of each event: the key's index (24 bits), whether a receipt was asked for
// (1 bit), and the intended send time in microseconds (39 bits, 152 hours).
type tag uint64

const (
	tagTimeBits = 39
	maxElapsed  = 100 * time.Hour // what a load may last; leaves room for events that are late
)

func newTag(key int, receipt bool, intended time.Duration) tag {
	t := tag(key)<<(tagTimeBits+1) | tag(intended.Microseconds())
	if receipt {
		t |= 1 << tagTimeBits
	}
	return t
}

func (t tag) key() int                { return int(t >> (tagTimeBits + 1)) }
func (t tag) receipt() bool           { return t>>tagTimeBits&1 == 1 }
func (t tag) intended() time.Duration { return time.Duration(t&(1<<tagTimeBits-1)) * time.Microsecond }
