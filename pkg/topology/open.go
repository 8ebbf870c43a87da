package topology

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// topologyKey is the key of the topology in its bucket; a router's lease is at leasePrefix + its id.
const (
	topologyKey   = "topology"
	leasePrefix   = "router."
	metadataID    = "lockstep-topology"
	duplicates    = 2 * time.Minute // JetStream's own window for plain events with a Nats-Msg-Id
	joinRetryWait = 200 * time.Millisecond
	joinTryTime   = 2 * time.Second
)

// Open returns the app's topology, creating it with its streams if there is none yet. Any number of routers may do so at
// the same time. An existing stream with other settings is an error that wraps ErrMismatch and says which.
func Open(ctx context.Context, js jetstream.JetStream, app string, initial Initial, log *slog.Logger) (Topology, jetstream.KeyValue, error) {
	if err := CheckApp(app); err != nil {
		return Topology{}, nil, err
	}
	if err := initial.Validate(); err != nil {
		return Topology{}, nil, err
	}
	kv, err := OpenBucket(ctx, js, app, "topology", initial.Log.Replicas)
	if err != nil {
		return Topology{}, nil, err
	}
	epoch, err := initial.epoch()
	if err != nil {
		return Topology{}, nil, err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	t := Topology{Schema: schema, ID: hex.EncodeToString(id), Created: time.Now().UTC(), Epochs: []Epoch{epoch}, Log: initial.Log}
	_, err = kv.Create(ctx, topologyKey, encode(t))
	switch {
	case err == nil:
		log.Info("topology created", "id", t.ID, "shards", epoch.Shards, "lanes", epoch.Lanes, "replicas", t.Log.Replicas)
	case !errors.Is(err, jetstream.ErrKeyExists):
		return Topology{}, nil, fmt.Errorf("create topology: %w", err)
	}
	t, rev, err := load(ctx, kv)
	if err != nil {
		return Topology{}, nil, err
	}
	if cur := t.Current(); cur.Shards != epoch.Shards || cur.Lanes != epoch.Lanes || t.Log != initial.Log {
		log.Info("topology exists: the initial values given here are not used", "id", t.ID, "epoch", cur.Epoch, "shards", cur.Shards, "lanes", cur.Lanes)
	}
	if !t.Ready {
		if t, err = finish(ctx, js, kv, app, t, rev); err != nil {
			return Topology{}, nil, err
		}
	}
	return t, kv, CheckStreams(ctx, js, app, t)
}

// finish creates the streams of a new topology and then says that they are there. Every step may be repeated by another.
func finish(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, app string, t Topology, rev uint64) (Topology, error) {
	for _, e := range t.Epochs {
		for lane := range e.Lanes {
			cfg := streamConfig(app, t, e, lane)
			_, err := js.CreateStream(ctx, cfg)
			if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return Topology{}, fmt.Errorf("create stream %s: %w", cfg.Name, err)
			}
		}
	}
	t.Ready = true
	if _, err := kv.Update(ctx, topologyKey, encode(t), rev); err != nil {
		// Another one was faster, or we look again and see what is wrong.
		again, _, lerr := load(ctx, kv)
		if lerr != nil || !again.Ready {
			return Topology{}, fmt.Errorf("create topology: %w", err)
		}
		return again, nil
	}
	return t, nil
}

// Join waits until the app has a topology, and checks its streams. It is for services that create none.
func Join(ctx context.Context, js jetstream.JetStream, app string, log *slog.Logger) (Topology, jetstream.KeyValue, error) {
	if err := CheckApp(app); err != nil {
		return Topology{}, nil, err
	}
	var last error // but for the one that ctx made
	for said := ""; ; {
		t, kv, err := tryJoin(ctx, js, app)
		if err == nil && t.Ready {
			return t, kv, nil
		}
		if ctx.Err() != nil {
			return Topology{}, nil, notJoined(ctx, app, last)
		}
		last = err
		wait := "waiting for a router to create the topology"
		switch {
		case isUnanswered(err):
			wait = "NATS does not answer; asking again for the topology"
		case err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) && !errors.Is(err, ErrNotFound):
			return Topology{}, nil, err
		}
		if wait != said {
			log.Info(wait, "app", app)
			said = wait
		}
		select {
		case <-time.After(joinRetryWait):
		case <-ctx.Done():
			return Topology{}, nil, notJoined(ctx, app, last)
		}
	}
}

// tryJoin reads the topology and, if it is ready, checks its streams. In a cluster a question may be lost with the server
// that it went to, so all of them together have joinTryTime, and are then asked again.
func tryJoin(ctx context.Context, js jetstream.JetStream, app string) (Topology, jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTryTime)
	defer cancel()
	kv, err := js.KeyValue(ctx, Bucket(app, "topology"))
	var t Topology
	if err == nil {
		t, _, err = load(ctx, kv)
	}
	if err != nil {
		return Topology{}, nil, fmt.Errorf("read topology of app %s: %w", app, err)
	}
	if t.Ready {
		err = CheckStreams(ctx, js, app, t)
	}
	return t, kv, err
}

// isUnanswered tells whether nobody answered who should. In a cluster it is so for some seconds after a bucket was made or
// a server was lost.
func isUnanswered(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)
}

// notJoined says why there was no topology in time. last is what came of the last attempt.
func notJoined(ctx context.Context, app string, last error) error {
	if isUnanswered(last) {
		return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
	}
	return fmt.Errorf("%w of app %s: is a router running, and is that the app's name? (%w)", ErrNotFound, app, context.Cause(ctx))
}

// Load returns the app's topology, or an error that wraps ErrNotFound.
func Load(ctx context.Context, js jetstream.JetStream, app string) (Topology, error) {
	kv, err := js.KeyValue(ctx, Bucket(app, "topology"))
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return Topology{}, fmt.Errorf("%w of app %s", ErrNotFound, app)
	}
	if err != nil {
		return Topology{}, fmt.Errorf("read topology of app %s: %w", app, err)
	}
	t, _, err := load(ctx, kv)
	return t, err
}

func load(ctx context.Context, kv jetstream.KeyValue) (Topology, uint64, error) {
	e, err := kv.Get(ctx, topologyKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Topology{}, 0, ErrNotFound
	}
	if err != nil {
		return Topology{}, 0, fmt.Errorf("read topology: %w", err)
	}
	t, err := Decode(e.Value())
	return t, e.Revision(), err
}

func encode(t Topology) []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // a Topology holds nothing that cannot be encoded
	}
	return b
}

// OpenBucket returns one of the app's buckets, creating it if need be. An existing one with other settings is an error.
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

func streamConfig(app string, t Topology, e Epoch, lane int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        StreamName(app, e.Epoch, lane),
		Description: "Lockstep's log of app " + app,
		Subjects:    []string{fmt.Sprintf("%s.work.%d.%d.*", app, e.Epoch, lane)},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    t.Log.Replicas,
		MaxBytes:    t.Log.MaxBytes,
		Duplicates:  duplicates,
		AllowDirect: true,
		Metadata:    map[string]string{metadataID: t.ID},
	}
}

// StreamOwner is the id of the topology that a stream was created for.
func StreamOwner(cfg jetstream.StreamConfig) string { return cfg.Metadata[metadataID] }

// CheckStreams returns an error that wraps ErrMismatch and says what differs if a stream of the topology is missing, is of
// another topology, or could drop or reorder what was acknowledged.
func CheckStreams(ctx context.Context, js jetstream.JetStream, app string, t Topology) error {
	for _, e := range t.Epochs {
		for lane := range e.Lanes {
			want := streamConfig(app, t, e, lane)
			s, err := js.Stream(ctx, want.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("stream %s: %w: it is gone, though topology %s has it: restore it", want.Name, ErrMismatch, t.ID)
			}
			if err != nil {
				return fmt.Errorf("check stream %s: %w", want.Name, err)
			}
			if err := checkStream(s.CachedInfo().Config, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkStream(got, want jetstream.StreamConfig) error {
	differs := func(setting string, is, wanted any) error {
		return fmt.Errorf("stream %s: %w: %s is %v, wanted %v", want.Name, ErrMismatch, setting, is, wanted)
	}
	switch {
	case got.Metadata[metadataID] != want.Metadata[metadataID]:
		return differs("topology id", quote(got.Metadata[metadataID]), quote(want.Metadata[metadataID]))
	case len(got.Subjects) != 1 || got.Subjects[0] != want.Subjects[0]:
		return differs("subjects", got.Subjects, want.Subjects)
	case got.Retention != want.Retention:
		return differs("retention", got.Retention, want.Retention)
	case got.Storage != want.Storage:
		return differs("storage", got.Storage, want.Storage)
	case got.Discard != want.Discard:
		return differs("discard policy", got.Discard, want.Discard)
	case got.MaxAge != 0:
		return differs("max age", got.MaxAge, "none: history is the janitor's")
	case got.MaxMsgs > 0:
		return differs("max messages", got.MaxMsgs, "none")
	case got.MaxMsgsPerSubject > 0:
		return differs("max messages per subject", got.MaxMsgsPerSubject, "none")
	case got.MaxMsgSize > 0:
		return differs("max message size", got.MaxMsgSize, "none: batches are as large as the server allows")
	case got.SubjectTransform != nil:
		return differs("subject transform", *got.SubjectTransform, "none")
	case got.NoAck:
		return differs("no-ack", got.NoAck, false)
	case got.PersistMode == jetstream.AsyncPersistMode:
		return differs("persist mode", got.PersistMode, "none: async confirms before it writes")
	}
	return nil
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// Ends returns the last stream sequence of each shard of an epoch, 0 where a shard has no message.
func Ends(ctx context.Context, js jetstream.JetStream, app string, e Epoch) ([]uint64, error) {
	ends := make([]uint64, e.Shards)
	for lane := range e.Lanes {
		s, err := js.Stream(ctx, StreamName(app, e.Epoch, lane))
		if err != nil {
			return nil, fmt.Errorf("read end of lane %d: %w", lane, err)
		}
		for shard := lane; shard < e.Shards; shard += e.Lanes {
			m, err := s.GetLastMsgForSubject(ctx, WorkSubject(app, e.Epoch, lane, shard))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read end of shard %d: %w", shard, err)
			}
			ends[shard] = m.Sequence
		}
	}
	return ends, nil
}
