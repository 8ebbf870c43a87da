package sim

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/store"
)

// RemoteStore is a store as a process sees it: each call takes time and may fail, and a failed one may have had its effect.
type RemoteStore struct {
	Process *Process
	Server  *Server
	Kept    store.Store
	// Claimed and Committed are called after the store has claimed or committed.
	Claimed   func(shard int, v store.Version)
	Committed func(c *store.Commit)
}

var _ store.Store = (*RemoteStore)(nil)

// ask makes a call and returns its result.
func ask[T any](ctx context.Context, r *RemoteStore, what string, fn func() (T, error)) (T, error) {
	var v T
	var err error
	if failed := r.Process.Call(ctx, r.Server, what, func() { v, err = fn() }); failed != nil {
		var none T
		return none, failed
	}
	return v, err
}

// Check is store.Store's.
func (r *RemoteStore) Check(ctx context.Context, n int) error {
	_, err := ask(ctx, r, "checks", func() (struct{}, error) { return struct{}{}, r.Kept.Check(ctx, n) })
	return err
}

// Reconnected is store.Store's.
func (r *RemoteStore) Reconnected() <-chan struct{} { return r.Kept.Reconnected() }

// Claim is store.Store's.
func (r *RemoteStore) Claim(ctx context.Context, shard int, revision uint64, version store.Version) (store.Record, error) {
	return ask(ctx, r, fmt.Sprintf("claims shard %d", shard), func() (store.Record, error) {
		rec, err := r.Kept.Claim(context.Background(), shard, revision, version)
		if err == nil {
			r.Claimed(shard, version)
		}
		return rec, err
	})
}

// Empty is store.Store's.
func (r *RemoteStore) Empty(ctx context.Context, shard int, found store.Markers) error {
	_, err := ask(ctx, r, fmt.Sprintf("empties shard %d if it is torn", shard), func() (struct{}, error) {
		err := r.Kept.Empty(context.Background(), shard, found)
		if err == nil {
			r.Process.w.Note("emptied")
		}
		return struct{}{}, err
	})
	return err
}

// Publishers is store.Store's. It hands on the publishers after the call has returned.
func (r *RemoteStore) Publishers(ctx context.Context, shard int, version store.Version, take func(string, []byte) (bool, error)) error {
	type publisher struct {
		id      string
		encoded []byte
	}
	all, err := ask(ctx, r, fmt.Sprintf("reads the publishers of shard %d", shard), func() (out []publisher, err error) {
		err = r.Kept.Publishers(context.Background(), shard, version, func(id string, encoded []byte) (bool, error) {
			out = append(out, publisher{id, encoded})
			return true, nil
		})
		return out, err
	})
	for _, p := range all {
		if _, err := take(p.id, p.encoded); err != nil {
			return err
		}
	}
	return err
}

// Load is store.Store's.
func (r *RemoteStore) Load(ctx context.Context, shard int, version store.Version, keys []string) ([][]byte, error) {
	return ask(ctx, r, fmt.Sprintf("loads %d keys of shard %d", len(keys), shard), func() ([][]byte, error) {
		return r.Kept.Load(context.Background(), shard, version, keys)
	})
}

// Verify is store.Store's.
func (r *RemoteStore) Verify(ctx context.Context, shard int, version store.Version) error {
	_, err := ask(ctx, r, fmt.Sprintf("verifies shard %d", shard), func() (struct{}, error) {
		return struct{}{}, r.Kept.Verify(context.Background(), shard, version)
	})
	return err
}

// Commit is store.Store's.
func (r *RemoteStore) Commit(ctx context.Context, c *store.Commit) error {
	_, err := ask(ctx, r, fmt.Sprintf("commits shard %d up to %d", c.Shard, c.Position.Seq), func() (struct{}, error) {
		err := r.Kept.Commit(context.Background(), c)
		switch {
		case err == nil:
			r.Committed(c)
		case errors.Is(err, store.ErrStale):
			r.Process.w.Note("commit stale")
		}
		return struct{}{}, err
	})
	return err
}

// States is store.Store's.
func (r *RemoteStore) States(ctx context.Context, shard int, keys []string) (states, heads [][]byte, err error) {
	both, err := ask(ctx, r, "reads states", func() (both [2][][]byte, err error) {
		both[0], both[1], err = r.Kept.States(context.Background(), shard, keys)
		return both, err
	})
	return both[0], both[1], err
}

// Heads is store.Store's. It hands on the heads after the call has returned.
func (r *RemoteStore) Heads(ctx context.Context, shard int, version store.Version, take func(string, []byte) error) error {
	all, err := ask(ctx, r, fmt.Sprintf("reads the lists of shard %d", shard), func() (out []store.Pair, err error) {
		err = r.Kept.Heads(context.Background(), shard, version, func(key string, head []byte) error {
			out = append(out, store.Pair{Key: key, Value: head})
			return nil
		})
		return out, err
	})
	for _, p := range all {
		if err := take(p.Key, p.Value); err != nil {
			return err
		}
	}
	return err
}

// Aside is store.Store's.
func (r *RemoteStore) Aside(ctx context.Context, shard int, version store.Version, key string, from uint64, n int) ([][]byte, error) {
	return ask(ctx, r, fmt.Sprintf("reads the list of key %s of shard %d from %d on", key, shard, from), func() ([][]byte, error) {
		return r.Kept.Aside(context.Background(), shard, version, key, from, n)
	})
}

// Shards is store.Store's.
func (r *RemoteStore) Shards(ctx context.Context, n int) ([]store.Shard, error) {
	return ask(ctx, r, "reads shards", func() ([]store.Shard, error) { return r.Kept.Shards(context.Background(), n) })
}

// Intact is store.Store's.
func (r *RemoteStore) Intact(ctx context.Context, shard int) (store.Shard, error) {
	return ask(ctx, r, fmt.Sprintf("compares all of shard %d", shard), func() (store.Shard, error) {
		return r.Kept.Intact(context.Background(), shard)
	})
}

// PutToken is store.Store's.
func (r *RemoteStore) PutToken(ctx context.Context, name, value string) error {
	_, err := ask(ctx, r, "puts a token", func() (struct{}, error) { return struct{}{}, r.Kept.PutToken(context.Background(), name, value) })
	return err
}

// Token is store.Store's.
func (r *RemoteStore) Token(ctx context.Context, name string) (string, error) {
	return ask(ctx, r, "looks for a token", func() (string, error) { return r.Kept.Token(context.Background(), name) })
}
