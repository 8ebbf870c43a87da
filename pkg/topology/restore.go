package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"example.com/lockstep/pkg/appname"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrEntryGone means that an app has streams and no topology.
var ErrEntryGone = errors.New("the topology's entry is gone")

func entryGone(app string, streams []*jetstream.StreamInfo) error {
	var names []string
	for _, s := range streams {
		names = append(names, s.Config.Name)
	}
	return fmt.Errorf("%w from bucket %s, but its streams exist (%s; topology %s): nothing was written; "+
		"write the entry again: router restore-topology --app=%s",
		ErrEntryGone, Bucket(app, "topology"), strings.Join(names, ", "), quote(StreamOwner(streams[0].Config)), app)
}

// Restore writes the app's topology again, after its entry was deleted, from the copy that each of its streams has. It changes
// nothing if there is an entry, or if a stream is missing or has other settings.
func Restore(ctx context.Context, js jetstream.JetStream, app string, log *slog.Logger) (Topology, error) {
	if err := appname.Check(app); err != nil {
		return Topology{}, err
	}
	t, rev, err := load(ctx, js, app)
	if err == nil {
		return Topology{}, fmt.Errorf("app %s has its topology %s: nothing was changed", app, t.ID)
	}
	if !errors.Is(err, ErrNotFound) && !errors.Is(err, jetstream.ErrBucketNotFound) {
		return Topology{}, err
	}
	streams, err := listStreams(ctx, js, app)
	if err != nil {
		return Topology{}, err
	}
	if t, err = fromStreams(app, streams); err != nil {
		return Topology{}, fmt.Errorf("restore the topology of app %s: %w", app, err)
	}
	if err := CheckStreams(ctx, js, app, t); err != nil {
		return Topology{}, fmt.Errorf("restore the topology of app %s: %w", app, err)
	}
	kv, err := OpenBucket(ctx, js, app, "topology", t.Log.Replicas)
	if err != nil {
		return Topology{}, err
	}
	if _, err := kv.Update(ctx, topologyKey, encode(t), rev); err != nil {
		return Topology{}, fmt.Errorf("restore the topology of app %s: %w", app, err)
	}
	e := t.Current()
	log.Info("topology restored", "id", t.ID, "epoch", e.Epoch, "shards", e.Shards, "lanes", e.Lanes)
	return t, nil
}

// fromStreams returns the newest topology that the streams were made for.
func fromStreams(app string, streams []*jetstream.StreamInfo) (Topology, error) {
	if len(streams) == 0 {
		return Topology{}, fmt.Errorf("%w: it has no streams either: start a router, which makes both", ErrNotFound)
	}
	var newest Topology
	for _, s := range streams {
		name, copied := s.Config.Name, s.Config.Metadata[metadataEntry]
		if copied == "" {
			return Topology{}, fmt.Errorf("stream %s has no copy of it, as an older release made the stream: "+
				"put its value under the key %s of bucket %s by hand", name, topologyKey, Bucket(app, "topology"))
		}
		t, err := Decode([]byte(copied))
		if err != nil {
			return Topology{}, fmt.Errorf("copy at stream %s: %w", name, err)
		}
		if owner := StreamOwner(s.Config); t.ID != owner || newest.ID != "" && newest.ID != t.ID {
			return Topology{}, fmt.Errorf("stream %s is of topology %s, others are of topology %s: delete those that are not wanted",
				name, quote(owner), quote(newest.ID))
		}
		if newest.ID == "" || t.Current().Epoch > newest.Current().Epoch {
			newest = t
		}
	}
	return newest, nil
}
