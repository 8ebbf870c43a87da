package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// MarksKept is how long the mark of a deleted entry stays in a bucket: every watch has seen it long before.
const MarksKept = time.Minute

// sweepMost bounds how many entries one Sweep removes from a bucket.
const sweepMost = 5000

// Sweep removes from the app's buckets the entries that ended processes leave: the marks of deleted entries, and the permits of
// routers that died. They must be older than kept, by the broker's time. An entry that is put during the sweep stays.
func Sweep(ctx context.Context, js jetstream.JetStream, app string, kept time.Duration, log *slog.Logger) error {
	for _, what := range []string{"topology", "members"} {
		kv, err := js.KeyValue(ctx, Bucket(app, what))
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			continue
		}
		if err == nil {
			err = sweepBucket(ctx, js, kv, kept, log)
		}
		if err != nil {
			return fmt.Errorf("sweep bucket %s: %w", Bucket(app, what), err)
		}
	}
	return nil
}

func sweepBucket(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, kept time.Duration, log *slog.Logger) error {
	s, err := js.Stream(ctx, bucketStream(kv.Bucket()))
	if err != nil {
		return err
	}
	old := s.CachedInfo().TimeStamp.Add(-kept)
	var stale []jetstream.KeyValueEntry
	f, err := Follow(ctx, js.Conn(), kv, log, func() { stale = nil }, func(e jetstream.KeyValueEntry) {
		if e == nil || e.Created().After(old) || len(stale) == sweepMost {
			return
		}
		if e.Operation() != jetstream.KeyValuePut || strings.HasPrefix(e.Key(), permitPrefix) {
			stale = append(stale, e)
		}
	})
	if err != nil {
		return err
	}
	f.Stop()
	for _, e := range stale {
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(entryPrefix(kv.Bucket())+e.Key()), jetstream.WithPurgeSequence(e.Revision()+1)); err != nil {
			return err
		}
	}
	if len(stale) > 0 {
		log.Debug("old entries removed", "bucket", kv.Bucket(), "entries", len(stale))
	}
	return nil
}
