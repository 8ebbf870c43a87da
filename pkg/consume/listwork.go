package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// Bounds of one attempt at a list: what it is given, and for how long it goes on to the next event.
const (
	listEvents = 256
	listTime   = 100 * time.Millisecond
)

// listWork is an attempt at a list: it applies the list's events from the first one on, until one fails. It touches neither shard
// nor cache: it may run beside others, and go on when its shard has given it up.
type listWork struct {
	shard  int
	fence  uint64
	key    string
	events [][]byte // as they are stored
	spent  func() bool
	next   func() // is called before each event but the first

	stopped atomic.Bool // no further event is to be begun

	envelope []byte // of the state before; nil: the key has none
	proof    store.Proof
	bad      error // the state cannot be read; the handler does not run

	mu       sync.Mutex // guards what follows
	closed   bool       // what comes later counts no more
	progress progress
	stored   []byte      // the key's state behind the events that are done; none: it has none
	after    store.Proof // of it
	applied  int
	receipts map[receiptTo][]uint64
}

// begin gives the work the key's stored state. The work ends before an event with which a command that waits begins: that is judged then.
func (w *listWork) begin(l *list, stored []byte) {
	w.envelope, w.proof, w.bad = splitStored(stored)
	l.proof = w.proof
	l.stamp = stampOf(&l.head, w.proof)
	if len(l.head.Commands) == 0 {
		return
	}
	for i, b := range w.events {
		if e, err := aside.DecodeEvent(b); i > 0 && err == nil && e.ID == l.head.Commands[0].First {
			w.events = w.events[:i]
			return
		}
	}
}

// run runs the handler, event by event. The state is encoded behind each: an event that fails leaves the state as it was before.
func (w *listWork) run(ctx context.Context, h Handler) result {
	if w.bad != nil {
		return result{err: Park(fmt.Errorf("stored state of the key: %w", w.bad))}
	}
	var before store.Proof
	var state any
	decoded := false
	proof := w.proof
	for i, b := range w.events {
		if i > 0 {
			if w.next(); w.spent() || w.stopped.Load() || ctx.Err() != nil {
				break
			}
		}
		e, err := aside.DecodeEvent(b)
		if err != nil {
			return result{err: Park(err)}
		}
		before = proof
		var stored []byte
		state, proof, stored, err = w.one(ctx, h, &e, state, decoded, before)
		switch {
		case err == nil:
			decoded = state != nil
			w.done(&e, len(b), stored, proof, true)
			if state == nil {
				w.envelope = nil
			}
		case errors.Is(err, errDropped): // the handler may have changed its state: the next event finds it decoded anew
			proof = before
			proof.Dropped++
			envelope := w.newest()
			stored, _ = encode(h, nil, envelope, proof)
			w.done(&e, len(b), stored, proof, false)
			state, decoded, w.envelope = nil, false, envelope
		default:
			return result{err: err}
		}
	}
	return result{}
}

// runIn is run with a handler.
func (w *listWork) runIn(h Handler) func(context.Context) result {
	return func(ctx context.Context) result { return w.run(ctx, h) }
}

// newest is the envelope of the key's state behind the events that are done.
func (w *listWork) newest() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.progress.done == 0 {
		return w.envelope
	}
	if len(w.stored) == 0 {
		return nil
	}
	_, envelope, _ := store.SplitState(w.stored)
	if len(envelope) == 0 {
		return nil
	}
	return slices.Clone(envelope) // the next state may be made of it
}

// one applies one event.
func (w *listWork) one(ctx context.Context, h Handler, e *aside.Event, state any, decoded bool, before store.Proof) (
	_ any, after store.Proof, stored []byte, err error,
) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if !decoded {
		if state, err = h.Decode(w.envelope); err != nil {
			return nil, before, nil, (&attempt{envelope: w.envelope}).undecodable(err)
		}
	}
	switch err := h.Apply(ctx, state, listedEvent(w.shard, w.fence, w.key, e)); {
	case err == nil:
		after = before.Apply(e.Data)
	case errors.Is(err, Delete):
		state = nil
	default:
		return nil, before, nil, err
	}
	stored, err = encode(h, state, nil, after)
	return state, after, stored, err
}

// done takes an event's result.
func (w *listWork) done(e *aside.Event, size int, stored []byte, after store.Proof, applied bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.progress.done++
	w.progress.bytes += uint64(size)
	w.stored, w.after = stored, after
	if applied {
		w.applied++
	}
	if w.receipts == nil {
		w.receipts = make(map[receiptTo][]uint64)
	}
	addReceipt(w.receipts, e)
}

// into puts what was done until now into a change of the list, and returns how far that is. Nothing counts that is done later.
func (w *listWork) into(ch *listChange) progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	ch.writes, ch.state, ch.proof, ch.applied, ch.receipts = w.progress.done > 0, w.stored, w.after, w.applied, w.receipts
	return w.progress
}

// addReceipt adds the receipt that an event of a list asks for.
func addReceipt(out map[receiptTo][]uint64, e *aside.Event) {
	if e.Receipt && e.Publisher != (frame.PublisherID{}) {
		to := receiptTo{e.Publisher, e.Generation}
		out[to] = append(out[to], e.Seq)
	}
}
