package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LeastServer is the oldest nats-server that we test with.
const LeastServer = "2.10.29"

// leastMinor is the first minor version of nats-server 2 that keeps the metadata of streams, by which we know ours.
const leastMinor = 10

// ErrServerTooOld means that nats-server cannot do what we need.
var ErrServerTooOld = errors.New("nats-server is too old")

// checkServer returns an error if the server is known to be too old.
func checkServer(nc *nats.Conn) error {
	version := nc.ConnectedServerVersion()
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return nil
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil || major > 2 || major == 2 && minor >= leastMinor {
		return nil
	}
	return fmt.Errorf("%w: it is %s, and the log needs %s or newer: upgrade nats-server, then restart this; nothing was written",
		ErrServerTooOld, version, LeastServer)
}

// makeStreams creates the streams of a topology that do not exist: creating one again would reserve its storage twice.
func (o opening) makeStreams(ctx context.Context, t Topology) error {
	for _, e := range t.Epochs {
		for lane := range e.Lanes {
			cfg := streamConfig(o.app, t, e, lane)
			_, err := o.js.Stream(ctx, cfg.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				_, err = o.js.CreateStream(ctx, cfg)
			}
			if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another router was faster
				return o.noRoom(ctx, t, cfg, fmt.Errorf("create stream %s: %w", cfg.Name, err))
			}
		}
	}
	return nil
}

// dropReplaced deletes the streams of initial values that were replaced, for they take storage. No router has written or will
// write to them: their epoch was never ready, and no other epoch has its number.
func (o opening) dropReplaced(ctx context.Context, t Topology) error {
	streams, err := listStreams(ctx, o.js, o.app)
	if err != nil {
		return err
	}
	for _, s := range streams {
		name := s.Config.Name
		if epochOf(o.app, name) >= t.Epochs[0].Epoch || !untouched(s, t) {
			continue
		}
		if err := o.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("delete stream %s, whose initial values were replaced: %w", name, err)
		}
		o.log.Info("empty stream deleted: its initial values were replaced", "stream", name)
	}
	return nil
}

// epochOf is the epoch of a stream of the app's log, 0 for any other stream.
func epochOf(app, stream string) (epoch uint64) {
	var lane int
	if n, _ := fmt.Sscanf(stream, strings.ToUpper(app)+"_%d_%d", &epoch, &lane); n != 2 || StreamName(app, epoch, lane) != stream {
		return 0
	}
	return epoch
}

// untouched tells whether a stream never had a message and was made for this topology, or by a server too old to keep the mark.
func untouched(s *jetstream.StreamInfo, t Topology) bool {
	owner := StreamOwner(s.Config)
	return (owner == t.ID || owner == "") && s.State.Msgs == 0 && s.State.LastSeq == 0
}

// listStreams lists the streams that have the name of a stream of the app's log.
func listStreams(ctx context.Context, js jetstream.JetStream, app string) (streams []*jetstream.StreamInfo, err error) {
	list := js.ListStreams(ctx, jetstream.WithStreamListSubject(app+".work.>"))
	for s := range list.Info() {
		if epochOf(app, s.Config.Name) > 0 {
			streams = append(streams, s)
		}
	}
	if err := list.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return nil, fmt.Errorf("list the streams of app %s: %w", app, err)
	}
	return streams, nil
}
