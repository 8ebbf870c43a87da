package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// JetStream's errors for a stream that is larger than the free storage.
const (
	errNoPeers          jetstream.ErrorCode = 10005 // in a cluster, for several reasons
	errNoResources      jetstream.ErrorCode = 10023 // likewise
	errNoStorage        jetstream.ErrorCode = 10047 // on one server
	errAccountResources jetstream.ErrorCode = 10002
)

// ErrNoRoom means that NATS has less storage than a topology asks for.
var ErrNoRoom = errors.New("NATS has not enough storage")

// noRoom explains the error of a stream's creation: if the storage does not suffice it says how much is free for all streams.
// Any other error it returns as it is.
func (o opening) noRoom(ctx context.Context, t Topology, cfg jetstream.StreamConfig, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case errNoStorage, errAccountResources:
	case errNoPeers, errNoResources:
		if !strings.Contains(api.Description, "storage") {
			return err
		}
	default:
		return err
	}
	free, known := room(ctx, o.js, cfg)
	streams, lerr := listStreams(ctx, o.js, o.app)
	if lerr != nil {
		return err
	}
	for _, s := range streams {
		if untouched(s, t) {
			free += s.Config.MaxBytes
		}
	}
	lanes, about := t.Current().Lanes, "less is free"
	if known {
		about = fmt.Sprintf("about %s are free", size(free))
	}
	return fmt.Errorf("%w: the log asks for %s (--log-bytes) on each of %d servers, in %d streams, and %s "+
		"(max_file_store of nats-server, or the account's limit): "+
		"start routers with a lower --log-bytes, and --history-bytes below it, or raise that limit; "+
		"the topology is not ready yet, and takes the values of the next router: %w",
		ErrNoRoom, size(int64(lanes)*cfg.MaxBytes), cfg.Replicas, lanes, about, err)
}

// room finds out how large a stream may be, for the server does not tell its limit. It tries sizes by bisection, with a stream
// that it deletes again. known is false where it may not create one.
func room(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (free int64, known bool) {
	const exactly = 1 << 20
	probe := jetstream.StreamConfig{
		Name: cfg.Name + "_ROOM", Subjects: []string{cfg.Name + "_ROOM"}, Description: "a router looks how much room there is",
		Storage: cfg.Storage, Replicas: cfg.Replicas,
	}
	low, high := int64(0), cfg.MaxBytes
	for high-low > exactly && ctx.Err() == nil {
		probe.MaxBytes = low + (high-low)/2
		_, err := js.CreateStream(ctx, probe)
		var refused *jetstream.APIError
		if errors.As(err, &refused) {
			high = probe.MaxBytes
			continue
		}
		if err == nil {
			low = probe.MaxBytes
			err = js.DeleteStream(ctx, probe.Name)
		}
		if err != nil {
			return 0, false
		}
	}
	return low, ctx.Err() == nil
}

// size returns a number of bytes as people read it.
func size(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
