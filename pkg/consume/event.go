package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
)

// Event is one event as a handler sees it. Data is valid during the call: a handler that keeps it must copy it.
type Event struct {
	Key   string
	Data  []byte
	Type  string
	Time  time.Time // the log's
	Shard int
	Fence uint64 // grows with every change of owner: hand it to the service that an effect outside goes to

	publisher frame.PublisherID // of a framed event
	seq       uint64
	framed    *frame.Event
	epoch     uint64      // of a plain event, with seq as its place in the log
	header    nats.Header // of a plain event

	id      string // of one made by NewEvent
	headers map[string]string
}

// NewEvent makes an event to test a handler with, without any server.
func NewEvent(id, key string, data []byte, headers map[string]string) Event {
	return Event{Key: key, Data: data, id: id, headers: headers}
}

// ID is the same on every attempt to apply the event, and no other event's.
func (e *Event) ID() string {
	if e.id != "" {
		return e.id
	}
	if e.framed != nil {
		return e.publisher.String() + "-" + strconv.FormatUint(e.seq, 10)
	}
	return fmt.Sprintf("%d-%d-%d", e.epoch, e.Shard, e.seq)
}

// Headers are the application's headers, or nil.
func (e *Event) Headers() map[string]string {
	if e.headers != nil {
		return e.headers
	}
	if e.framed != nil {
		return e.framed.Headers()
	}
	var out map[string]string
	for k, v := range e.header {
		switch {
		case k == frame.HeaderKind, k == frame.HeaderPlace, k == frame.HeaderKey, k == frame.HeaderType, strings.HasPrefix(k, "Nats-"), len(v) == 0:
			continue
		}
		if out == nil {
			out = make(map[string]string)
		}
		out[k] = v[0]
	}
	return out
}

// Delete is what a handler returns as its error to say that an event was applied and that its key has no state any more. The
// key's memory is freed, and the next event of the key finds a fresh state.
//
//lint:ignore ST1012 handlers return it as a word, not as a failure
var Delete = errors.New("the key's state is deleted")

// Park makes an error that parks an event's key at once: the event is not retried, and waits for an operator with all later ones
// of its key.
func Park(err error) error { return &decided{errParked, err} }

// Drop makes an error that gives an event up: the key's state stays as it was, the event is counted in its proof, and the key's next
// event comes. Use it for an event that is never to be applied.
func Drop(err error) error { return &decided{errDropped, err} }

var (
	errParked  = errors.New("parked by the handler")
	errDropped = errors.New("dropped by the handler")
)

// decided is an error by which the handler parks or drops the event.
type decided struct{ how, why error }

func (d *decided) Error() string {
	if d.why == nil {
		return d.how.Error()
	}
	return d.how.Error() + ": " + d.why.Error()
}

func (d *decided) Unwrap() []error { return []error{d.how, d.why} }

// Handler folds events into states. Typed makes one from a plain function. An error or a panic of any method fails the event
// at hand: it is set aside with all later events of its key, and retried with backoff.
type Handler interface {
	// Decode returns the state that an envelope holds, or a fresh one if it is nil. The state may share the envelope's memory.
	Decode(envelope []byte) (state any, err error)
	// Encode appends the state's envelope to b. It may be called after any event. What it returns must not share the state's
	// memory: later events change the state.
	Encode(b []byte, state any) ([]byte, error)
	// Apply folds an event into a state. If it fails the state is thrown away, and decoded anew for the next attempt. If it
	// returns Delete, also wrapped, the event is applied and its key has no state any more; Park and Drop make errors that are
	// not retried. Attempts of different keys run side by side.
	Apply(ctx context.Context, state any, ev Event) error
}

// Typed is a handler with states of type S, stored as JSON. apply decides from the state and the event alone: a replay
// of the log must come to the same state. It may return Delete.
func Typed[S any](apply func(ctx context.Context, state *S, ev Event) error) Handler {
	return typed[S]{apply}
}

// schemaVersion is that of states stored by Typed.
const schemaVersion = 1

type typed[S any] struct {
	apply func(context.Context, *S, Event) error
}

func (t typed[S]) Decode(envelope []byte) (any, error) {
	state := new(S)
	if envelope == nil {
		return state, nil
	}
	e, err := store.DecodeEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if e.Codec != store.CodecJSON || e.Schema != schemaVersion {
		return nil, fmt.Errorf("stored state has codec %d and schema %d, this handler reads codec %d and schema %d",
			e.Codec, e.Schema, store.CodecJSON, schemaVersion)
	}
	if err := json.Unmarshal(e.Data, state); err != nil {
		return nil, fmt.Errorf("decode stored state: %w", err)
	}
	return state, nil
}

func (t typed[S]) Encode(b []byte, state any) ([]byte, error) {
	data, err := json.Marshal(state.(*S))
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return store.Envelope{Codec: store.CodecJSON, Schema: schemaVersion, Data: data}.Append(b), nil
}

func (t typed[S]) Apply(ctx context.Context, state any, ev Event) error {
	return t.apply(ctx, state.(*S), ev)
}

// recovered makes a handler's panic an error. It is to be deferred.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())
	}
}
