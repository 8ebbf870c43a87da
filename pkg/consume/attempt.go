package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"example.com/lockstep/pkg/store"
)

// attempt is one run of the handler for one event. It touches neither shard nor cache: it may run beside others, and go on when
// its shard has given it up.
type attempt struct {
	item     int // in its round
	key      string
	ev       Event
	state    any         // nil: decoded from envelope
	envelope []byte      // nil: the key has no state
	bad      error       // the stored state cannot be read; the handler does not run
	proof    store.Proof // of the state
	careful  bool        // the state behind the event is encoded
}

// result is an attempt's outcome.
type result struct {
	state  any         // behind the event; nil: the key has none any more
	proof  store.Proof // of the state
	stored []byte      // of a careful attempt: the state as it is to be stored
	err    error
}

// run runs the handler.
func (a *attempt) run(ctx context.Context, h Handler) (res result) {
	defer func() {
		if p := recover(); p != nil {
			res = result{err: fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	if a.bad != nil {
		return result{err: Park(fmt.Errorf("stored state of the key: %w", a.bad))}
	}
	state := a.state
	if state == nil {
		var err error
		if state, err = h.Decode(a.envelope); err != nil {
			return result{err: a.undecodable(err)}
		}
	}
	switch err := h.Apply(ctx, state, a.ev); {
	case err == nil:
		res = result{state: state, proof: a.proof.Apply(a.ev.Data)}
	case errors.Is(err, Delete):
		res = result{}
	default:
		return result{err: err}
	}
	if a.careful {
		var err error
		if res.stored, err = encode(h, res.state, nil, res.proof); err != nil {
			return result{err: err}
		}
	}
	return res
}

// undecodable is the error of a stored state that the handler does not decode: no attempt can succeed before the handler, or the
// state, is another one. Without a stored state it is the handler's failure.
func (a *attempt) undecodable(err error) error {
	if a.envelope == nil {
		return err
	}
	return Park(fmt.Errorf("stored state of the key: %w", err))
}
