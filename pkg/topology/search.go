package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// LastBefore returns the sequence of a stream's last message that was stored before a time, or the one before its first
// message if there is none. It searches by bisection, for times grow with sequences.
func LastBefore(ctx context.Context, js jetstream.JetStream, stream string, state jetstream.StreamState, at time.Time) (uint64, error) {
	if state.Msgs == 0 {
		return state.LastSeq, nil
	}
	low, high := state.FirstSeq-1, state.LastSeq+1 // low lies before the time, high does not
	for low+1 < high {
		mid := low + (high-low)/2
		m, err := NextMessage(ctx, js, stream, ">", mid) // a later message if mid was removed
		if err != nil {
			return 0, fmt.Errorf("look for the last message before %s: %w", at.UTC(), err)
		}
		if m.Time.Before(at) {
			low = min(max(mid, m.Sequence), high-1)
		} else {
			high = mid
		}
	}
	return low, nil
}
