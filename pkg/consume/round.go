package consume

import (
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
)

// message is one message of the shard's log.
type message struct {
	seq    uint64
	time   time.Time
	header nats.Header
	data   []byte
}

// round holds messages that have arrived and are not all committed, and the events in them.
type round struct {
	at     frame.Place           // of the log that it is of
	owns   func(key []byte) bool // tells whether a key belongs to the shard
	msgs   []message
	parts  []part
	items  []item
	next   int // items before it are committed
	seen   int // items before it were looked at by the deduplication record
	bytes  int
	passed passed // of msgs
	share  *share // of the memory of all rounds; the owner's
	bad    error  // of the message behind them, which cannot be read

	failures    int             // of the handler
	troubles    map[int]trouble // by item: why it was not applied
	results     [][]byte        // by item: its key's state behind it, where that was kept
	resultBytes int
	lent        bool // an attempt may still read the messages and items

	scratch frame.Frame
}

// part holds what the events of one frame have in common: session and floor.
type part struct {
	session frame.Session
	floor   uint64
	plain   bool
}

// item is one event. What every pass looks at comes first.
type item struct {
	msg     int
	part    int
	entry   *entry // the key's state
	outcome outcome
	key     []byte
	ev      frame.Event // of a frame
	typ     string      // of a plain event
	command bool        // an operator's, in the message's data; no event
}

// add takes a message, all of it or nothing.
func (r *round) add(m message) error {
	parts, items := len(r.parts), len(r.items)
	r.msgs = append(r.msgs, m)
	if err := r.read(m); err != nil {
		clear(r.items[items:])
		r.msgs, r.parts, r.items = r.msgs[:len(r.msgs)-1], r.parts[:parts], r.items[:items]
		return err
	}
	r.bytes += len(r.msgs[len(r.msgs)-1].data)
	return nil
}

// read finds the events in a message, and passes over one that no router stored in this log.
func (r *round) read(m message) error {
	kind := m.header.Get(frame.HeaderKind)
	if kind == "" {
		return r.readBatch(m)
	}
	at, err := frame.ParsePlace(m.header.Get(frame.HeaderPlace))
	if err != nil {
		return err
	}
	if at != r.at {
		r.passed.copies++
		r.pass()
		return nil
	}
	return r.readPlain(m, kind)
}

// pass passes over the message at hand: only its place in the log counts.
func (r *round) pass() {
	m := &r.msgs[len(r.msgs)-1]
	r.passed.last = m.seq
	m.data, m.header = nil, nil
}

func (r *round) readPlain(m message, kind string) error {
	n := len(r.msgs) - 1
	switch kind {
	case frame.KindCommand: // one that cannot be read is passed over when its turn comes
		r.parts = append(r.parts, part{plain: true})
		r.items = append(r.items, item{msg: n, part: len(r.parts) - 1, command: true})
		return nil
	case frame.KindEvent:
		key := []byte(m.header.Get(frame.HeaderKey))
		if err := frame.CheckKey(key); err != nil {
			return err
		}
		if !r.owns(key) {
			return fmt.Errorf("key %q belongs to another shard", key)
		}
		r.parts = append(r.parts, part{plain: true})
		r.items = append(r.items, item{msg: n, part: len(r.parts) - 1, key: key, typ: m.header.Get(frame.HeaderType)})
		return nil
	default:
		return fmt.Errorf("messages of kind %q are not known to this version", kind)
	}
}

func (r *round) readBatch(m message) error {
	n := len(r.msgs) - 1
	at, parts, err := frame.ReadMark(m.data)
	switch {
	case errors.Is(err, frame.ErrNoMark):
		r.passed.foreign++
		r.pass()
		return nil
	case err != nil:
		return err
	case at != r.at:
		r.passed.copies++
		r.pass()
		return nil
	}
	return frame.Parts(parts, &r.scratch, func(f *frame.Frame) error {
		r.parts = append(r.parts, part{session: f.Session, floor: f.Floor})
		for i := range f.Events {
			if !r.owns(f.Events[i].Key) {
				return fmt.Errorf("key %q belongs to another shard", f.Events[i].Key)
			}
			r.items = append(r.items, item{msg: n, part: len(r.parts) - 1, key: f.Events[i].Key, ev: f.Events[i]})
		}
		return nil
	})
}

// reset empties the round, keeping its memory unless an attempt may read it.
func (r *round) reset() {
	if r.lent {
		r.msgs, r.parts, r.items, r.scratch = nil, nil, nil, frame.Frame{}
	}
	clear(r.msgs)
	clear(r.items)
	if cap(r.items) > keepItems {
		r.items = nil
	}
	r.msgs, r.parts, r.items, r.next, r.seen, r.bytes, r.passed = r.msgs[:0], r.parts[:0], r.items[:0], 0, 0, 0, passed{}
	r.failures, r.troubles, r.results, r.resultBytes, r.lent = 0, nil, nil, 0, false
}

// cost is the size of the round, in bytes.
func (r *round) cost() int64 { return int64(r.bytes) + int64(len(r.items))*itemBytes }

// done tells whether all of the round is committed.
func (r *round) done() bool { return r.next == len(r.items) }

// position is how far the shard is when the items before end are committed: up to the last message with none behind it.
func (r *round) position(end int, before store.Position) store.Position {
	last := len(r.msgs) - 1
	if end < len(r.items) {
		last = r.items[end].msg - 1
	}
	if last < 0 {
		return before
	}
	return store.Position{Epoch: r.at.Epoch, Seq: r.msgs[last].seq, Time: r.msgs[last].time}
}

// receipts adds the receipts that the items from r.next up to end ask for, where the commit settles them. Those that are set aside are owed
// by the commit that takes them from their list.
func (r *round) receipts(out map[receiptTo][]uint64, end int) {
	for i := r.next; i < end; i++ {
		if it := &r.items[i]; it.outcome.changes() {
			r.receipt(out, it)
		}
	}
}

func (r *round) receipt(out map[receiptTo][]uint64, it *item) {
	if it.ev.Receipt {
		s := &r.parts[it.part].session
		to := receiptTo{s.Publisher, s.Generation}
		out[to] = append(out[to], it.ev.Seq)
	}
}

// receiptTo is the session that a receipt is for.
type receiptTo struct {
	publisher  frame.PublisherID
	generation uint64
}

// passed counts messages of a log that were passed over, as no router stored them there.
type passed struct {
	foreign int    // neither a batch nor a message with a kind
	copies  int    // of a message for another shard or epoch
	last    uint64 // the newest one's sequence
}
