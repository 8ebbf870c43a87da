package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// OpenBucket returns one of the app's buckets, and creates it if there is none. An existing one with other settings is an error
// that wraps ErrMismatch.
func OpenBucket(ctx context.Context, js jetstream.JetStream, app, what string, replicas int) (jetstream.KeyValue, error) {
	name := Bucket(app, what)
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Storage: jetstream.FileStorage, Replicas: replicas})
	if err == nil {
		return kv, nil
	}
	if !errors.Is(err, jetstream.ErrBucketExists) {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	if kv, err = js.KeyValue(ctx, name); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	st, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	differs := func(setting string, is, wanted any) error {
		return fmt.Errorf("bucket %s: %w: %s is %v, wanted %v", name, ErrMismatch, setting, is, wanted)
	}
	switch storage := st.Config().Storage; {
	case st.History() != 1:
		return nil, differs("history", st.History(), 1)
	case st.TTL() != 0:
		return nil, differs("TTL", st.TTL(), "none")
	case storage != jetstream.FileStorage:
		return nil, differs("storage", storage, jetstream.FileStorage)
	}
	return kv, nil
}
