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

	"github.com/nats-io/nats.go/jetstream"
)

// topologyKey is the key of the topology in its bucket; a router's lease is at leasePrefix + its id.
const (
	topologyKey = "topology"
	leasePrefix = "router."
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
	t, rev, err := load(ctx, js, app)
	if errors.Is(err, ErrNotFound) {
		t, rev, err = create(ctx, js, kv, app, newTopology(epoch, initial.Log), rev, log)
	}
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
	if err := endDirectGets(ctx, js, app, t, log); err != nil {
		return Topology{}, nil, err
	}
	return t, kv, CheckStreams(ctx, js, app, t)
}

// newTopology makes one with an id of its own.
func newTopology(epoch Epoch, l Log) Topology {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return Topology{Schema: schema, ID: hex.EncodeToString(id), Created: time.Now().UTC().Round(0), Epochs: []Epoch{epoch}, Log: l}
}

// create stores a topology in place of none, whose revision was rev. It returns another one if that was stored first.
func create(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, app string, t Topology, rev uint64, log *slog.Logger) (Topology, uint64, error) {
	rev, err := kv.Update(ctx, topologyKey, encode(t), rev)
	if err == nil {
		e := t.Current()
		log.Info("topology created", "id", t.ID, "shards", e.Shards, "lanes", e.Lanes, "replicas", t.Log.Replicas)
		return t, rev, nil
	}
	first, rev, lerr := load(ctx, js, app)
	if errors.Is(lerr, ErrNotFound) {
		return Topology{}, 0, fmt.Errorf("create topology: %w", err)
	}
	return first, rev, lerr
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
		again, _, lerr := load(ctx, js, app)
		if lerr != nil || !again.Ready {
			return Topology{}, fmt.Errorf("create topology: %w", err)
		}
		return again, nil
	}
	return t, nil
}

func encode(t Topology) []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // a Topology holds nothing that cannot be encoded
	}
	return b
}
