package publish

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/frame"
)

// The outcome of an event that is not stored for certain. For every error that a call or a resolved Handle returns for an
// event exactly one of errors.Is(err, ErrNotStored) and errors.Is(err, ErrUnknown) holds.
var (
	// ErrNotStored: the event is not in the log and never will be. It may be sent again.
	ErrNotStored = errors.New("event is not stored")
	// ErrUnknown: the event has left, and its outcome is not known. Sending it again may apply it twice.
	ErrUnknown = errors.New("outcome unknown: the event may yet be stored")
	// ErrPending: the event has no outcome yet.
	ErrPending = errors.New("event has no outcome yet")
)

// ErrTimeout is ErrUnknown.
//
// Deprecated: use ErrUnknown.
var ErrTimeout = ErrUnknown

// The reasons why an event is not stored. Each of them is ErrNotStored too.
var (
	ErrFull         error = refusal("publisher is full") // wait for room and send again
	ErrNotStarted   error = refusal("publisher is not started")
	ErrClosed       error = refusal("publisher is stopped")
	ErrDisconnected error = refusal("connection to NATS is closed") // for good: nats.go has given up, or the application closed it
	ErrNotSent      error = refusal("event was given up before it left: it is not stored")

	ErrNoKey         error = refusal("event has no key")
	ErrKeyTooLong    error = refusal("key is too long")
	ErrKeyNotUTF8    error = refusal("key is not UTF-8")
	ErrEventTooLarge error = refusal("event is too large")
	ErrSessionTooOld error = refusal("session is too old: is the clock off?")
	ErrRefused       error = refusal("a router refused the event for good") // for another reason, which the text gives
)

// refusal is an error that is ErrNotStored.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrNotStored }

// because is an error that wraps a sentinel without repeating it in its text.
type because struct{ says, kind error }

func (b *because) Error() string   { return b.says.Error() }
func (b *because) Unwrap() []error { return []error{b.says, b.kind} }

// badEvent is the error of an event that the wire format refuses.
func badEvent(err error) error {
	for _, k := range []struct{ of, is error }{
		{frame.ErrNoKey, ErrNoKey}, {frame.ErrKeyTooLong, ErrKeyTooLong}, {frame.ErrKeyNotUTF8, ErrKeyNotUTF8}, {frame.ErrEventTooLarge, ErrEventTooLarge},
	} {
		if errors.Is(err, k.of) {
			return &because{err, k.is}
		}
	}
	return &because{err, ErrRefused}
}

// refused is the error of events that a router has refused for good.
func refused(a frame.Answer) error {
	kind := ErrRefused
	switch a.Code {
	case frame.NoKey:
		kind = ErrNoKey
	case frame.KeyTooLong:
		kind = ErrKeyTooLong
	case frame.EventTooLarge:
		kind = ErrEventTooLarge
	case frame.SessionTooOld:
		kind = ErrSessionTooOld
	}
	return &because{a, kind}
}

// ended adds a context's error to err. The context's cause is in the text and not wrapped: it may be another event's error.
func ended(err error, ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w: %v", err, ctx.Err(), cause)
	}
	return fmt.Errorf("%w: %w", err, ctx.Err())
}

// lastAnswer adds the last answer of a router about a frame, if there was one, to an error. It does not wrap the answer: that
// would say that the frame is not stored, and of a frame that was given up this is not known.
func lastAnswer(err error, last frame.Answer) error {
	if last.Code == frame.Stored {
		return err
	}
	return fmt.Errorf("%w; the last answer was: %v", err, last)
}
