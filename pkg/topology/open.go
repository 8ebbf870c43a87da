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

	"example.com/lockstep/pkg/appname"
	"github.com/nats-io/nats.go/jetstream"
)

// Keys of the topology bucket: the topology, and one permit for each router, by its id.
const (
	topologyKey  = "topology"
	permitPrefix = "router."
)

// PermitKey is the key of a router's permit in the topology bucket.
func PermitKey(router string) string { return permitPrefix + router }

// Open returns the app's topology, and creates it with its streams if there is none yet. While an existing one is not ready,
// that is while its streams could not all be made, Open replaces its initial values if they differ. Any number of routers may
// do so at the same time. An existing stream with other settings is an error that wraps ErrMismatch and names it; streams
// without a topology are one that wraps ErrEntryGone.
func Open(ctx context.Context, js jetstream.JetStream, app string, initial Initial, log *slog.Logger) (Topology, jetstream.KeyValue, error) {
	if err := appname.Check(app); err != nil {
		return Topology{}, nil, err
	}
	if err := initial.Validate(); err != nil {
		return Topology{}, nil, err
	}
	epoch, err := initial.epoch()
	if err != nil {
		return Topology{}, nil, err
	}
	if err := checkServer(js.Conn()); err != nil {
		return Topology{}, nil, err
	}
	kv, err := OpenBucket(ctx, js, app, "topology", initial.Log.Replicas)
	if err != nil {
		return Topology{}, nil, err
	}
	o := opening{js: js, kv: kv, app: app, log: log}
	t, rev, err := load(ctx, js, app)
	if errors.Is(err, ErrNotFound) {
		t, rev, err = o.create(ctx, newTopology(epoch, initial.Log), rev)
	}
	if err != nil {
		return Topology{}, nil, err
	}
	if cur := t.Current(); cur.Shards != epoch.Shards || cur.Lanes != epoch.Lanes || t.Log != initial.Log {
		if t.Ready {
			log.Info("topology exists: the initial values given here are not used", "id", t.ID, "epoch", cur.Epoch, "shards", cur.Shards, "lanes", cur.Lanes)
		} else if t, rev, err = o.replace(ctx, t, rev, epoch, initial.Log); err != nil {
			return Topology{}, nil, err
		}
	}
	if err := o.dropReplaced(ctx, t); err != nil {
		return Topology{}, nil, err
	}
	if !t.Ready {
		if err := o.makeStreams(ctx, t); err != nil {
			return Topology{}, nil, err
		}
	}
	if err := mendStreams(ctx, js, app, t, log); err != nil {
		return Topology{}, nil, err
	}
	if err := CheckStreams(ctx, js, app, t); err != nil {
		return Topology{}, nil, err
	}
	if !t.Ready {
		if t, err = o.finish(ctx, t, rev); err != nil {
			return Topology{}, nil, err
		}
	}
	return t, kv, nil
}

// opening is one call of Open.
type opening struct {
	js  jetstream.JetStream
	kv  jetstream.KeyValue
	app string
	log *slog.Logger
}

// newTopology makes a topology with a random id.
func newTopology(epoch Epoch, l Log) Topology {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return Topology{Schema: schema, Needs: 1, ID: hex.EncodeToString(id), Created: time.Now().UTC().Round(0), Epochs: []Epoch{epoch}, Log: l}
}

// create stores the first topology, over an entry of revision rev. It returns another router's if that was stored first. If
// there are streams there was a topology, and a new one would not fit them.
func (o opening) create(ctx context.Context, t Topology, rev uint64) (Topology, uint64, error) {
	streams, err := listStreams(ctx, o.js, o.app)
	if err != nil {
		return Topology{}, 0, err
	}
	if len(streams) > 0 {
		first, rev, err := load(ctx, o.js, o.app) // another router may have made both meanwhile
		if errors.Is(err, ErrNotFound) {
			err = entryGone(o.app, streams)
		}
		return first, rev, err
	}
	rev, err = o.kv.Update(ctx, topologyKey, encode(t), rev)
	if err == nil {
		e := t.Current()
		o.log.Info("topology created", "id", t.ID, "shards", e.Shards, "lanes", e.Lanes, "replicas", t.Log.Replicas)
		return t, rev, nil
	}
	first, rev, lerr := load(ctx, o.js, o.app)
	if errors.Is(lerr, ErrNotFound) {
		return Topology{}, 0, fmt.Errorf("create topology: %w", err)
	}
	return first, rev, lerr
}

// replace gives a topology that is not ready other initial values, or returns the one that was stored meanwhile. No router has
// written to its streams, and none makes it ready with the old values after this. The new values get an epoch of their own, so
// an old stream never has the name of a new one, however late it is made or deleted.
func (o opening) replace(ctx context.Context, t Topology, rev uint64, epoch Epoch, l Log) (Topology, uint64, error) {
	before := t.Current()
	if err := o.replicate(ctx, l.Replicas); err != nil {
		return Topology{}, 0, err
	}
	epoch.Epoch = before.Epoch + 1
	t.Epochs, t.Log = []Epoch{epoch}, l
	next, err := o.kv.Update(ctx, topologyKey, encode(t), rev)
	if err == nil {
		o.log.Info("topology was not ready: its initial values are replaced", "id", t.ID, "shards", epoch.Shards, "shards_before", before.Shards,
			"lanes", epoch.Lanes, "log_bytes", l.MaxBytes*int64(epoch.Lanes), "replicas", l.Replicas)
		return t, next, nil
	}
	again, now, lerr := load(ctx, o.js, o.app)
	if lerr != nil || now == rev {
		return Topology{}, 0, fmt.Errorf("replace the topology's initial values: %w", err)
	}
	return again, now, nil
}

// replicate gives the topology's bucket as many replicas as its streams are to have.
func (o opening) replicate(ctx context.Context, replicas int) error {
	s, err := o.js.Stream(ctx, bucketStream(o.kv.Bucket()))
	if err == nil && s.CachedInfo().Config.Replicas != replicas {
		cfg := s.CachedInfo().Config
		cfg.Replicas = replicas
		_, err = o.js.UpdateStream(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("give bucket %s %d replicas: %w", o.kv.Bucket(), replicas, err)
	}
	return nil
}

// finish marks a topology as ready: its streams exist.
func (o opening) finish(ctx context.Context, t Topology, rev uint64) (Topology, error) {
	t.Ready = true
	if _, err := o.kv.Update(ctx, topologyKey, encode(t), rev); err != nil {
		// Another router was faster, or the topology is not as expected.
		again, _, lerr := load(ctx, o.js, o.app)
		if lerr != nil || !again.Ready {
			return Topology{}, fmt.Errorf("create topology: %w", err)
		}
		return again, CheckStreams(ctx, o.js, o.app, again)
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
