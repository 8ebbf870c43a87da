package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrStoresNothing means that NATS answers questions about a stream or bucket, but acknowledges no write to it. nats-server
// behaves so after a write has failed, as on a full disk, until it is restarted, even if there is room again.
var ErrStoresNothing = errors.New("NATS answers for it, but stores nothing in it: if the log of nats-server has a write error, " +
	"as of a full disk, make room and restart nats-server, which stores nothing there before that")

// Unanswered asks the server about a bucket after a write to it got no answer. It returns an error that wraps ErrGone if the
// bucket does not exist, or ErrStoresNothing if the server had time to answer the write; else err, the write's error.
func Unanswered(ctx context.Context, kv jetstream.KeyValue, err error) error {
	_, serr := kv.Status(ctx)
	switch {
	case errors.Is(serr, jetstream.ErrStreamNotFound), errors.Is(serr, jetstream.ErrBucketNotFound):
		return fmt.Errorf("bucket %s: %w: restore it; or, if NATS was set up anew, "+
			"restart the routers and then the workers, on the store that goes with it", kv.Bucket(), ErrGone)
	case serr == nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("bucket %s: %w", kv.Bucket(), ErrStoresNothing)
	}
	return err
}
