package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrStoresNothing says of a stream or a bucket that NATS answers questions about it, but no publisher. nats-server does so
// after a write has failed, as on a full disk, and it goes on so until it is restarted, however much room there is then.
var ErrStoresNothing = errors.New("NATS answers for it, but stores nothing in it: if the log of nats-server has a write error, " +
	"as of a full disk, make room and restart nats-server, which stores nothing there before that")

// Unanswered returns the error of a write to a bucket that nobody has answered, or what the server says when it is asked
// about the bucket: an error that wraps ErrGone, or ErrStoresNothing where the server had time for an answer.
func Unanswered(ctx context.Context, kv jetstream.KeyValue, err error) error {
	_, serr := kv.Status(ctx)
	switch {
	case errors.Is(serr, jetstream.ErrStreamNotFound), errors.Is(serr, jetstream.ErrBucketNotFound):
		return fmt.Errorf("bucket %s: %w: restore it; or, if NATS was set up anew, restart the routers and then the workers, on the store that goes with it", kv.Bucket(), ErrGone)
	case serr == nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("bucket %s: %w", kv.Bucket(), ErrStoresNothing)
	}
	return err
}
