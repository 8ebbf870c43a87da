package store

import "context"

// WithWaits returns a context whose calls of a Store tell of themselves when they have waited for longer than a second for
// something that passes by itself, such as a slot that is being moved. tell gets the reason, and "" when the wait is over. It is
// called from the goroutine that makes the call.
func WithWaits(ctx context.Context, tell func(reason string)) context.Context {
	return context.WithValue(ctx, waitsKey{}, tell)
}

// TellWait is for stores: it tells the caller with ctx what its call waits for, or with "" that the wait is over.
func TellWait(ctx context.Context, reason string) {
	if tell, is := ctx.Value(waitsKey{}).(func(string)); is {
		tell(reason)
	}
}

type waitsKey struct{}
