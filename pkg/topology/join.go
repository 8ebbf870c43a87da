package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/lockstep/pkg/appname"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	joinRetryWait = 200 * time.Millisecond
	joinTryTime   = 2 * time.Second
)

// Join waits until the app has a topology, and checks its streams. It is for services that create none.
func Join(ctx context.Context, js jetstream.JetStream, app string, log *slog.Logger) (Topology, jetstream.KeyValue, error) {
	if err := appname.Check(app); err != nil {
		return Topology{}, nil, err
	}
	if err := checkServer(js.Conn()); err != nil {
		return Topology{}, nil, err
	}
	var last error // of the last attempt that ctx did not end
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

// tryJoin reads the topology and, if it is ready, checks its streams. In a cluster a request may be lost with the server that
// it went to, so one try takes at most joinTryTime.
func tryJoin(ctx context.Context, js jetstream.JetStream, app string) (Topology, jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTryTime)
	defer cancel()
	kv, err := js.KeyValue(ctx, Bucket(app, "topology"))
	var t Topology
	if err == nil {
		t, _, err = load(ctx, js, app)
	}
	if err != nil {
		return Topology{}, nil, fmt.Errorf("read topology of app %s: %w", app, err)
	}
	if t.Ready {
		err = CheckStreams(ctx, js, app, t)
	}
	return t, kv, err
}

// isUnanswered tells whether a request got no answer. In a cluster that is so for some seconds after a bucket was made or a
// server was lost.
func isUnanswered(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)
}

// notJoined says why there was no topology in time. last is the last attempt's error.
func notJoined(ctx context.Context, app string, last error) error {
	if isUnanswered(last) {
		return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
	}
	return fmt.Errorf("%w of app %s: is a router running, and is that the app's name? (%w)", ErrNotFound, app, context.Cause(ctx))
}

// Load returns the app's topology, or an error that wraps ErrNotFound.
func Load(ctx context.Context, js jetstream.JetStream, app string) (Topology, error) {
	t, _, err := load(ctx, js, app)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return Topology{}, fmt.Errorf("%w of app %s", ErrNotFound, app)
	}
	return t, err
}

// load reads the topology from its bucket's leader, with its entry's revision, which is 0 if there never was one. Its error
// wraps ErrNotFound if there is none.
func load(ctx context.Context, js jetstream.JetStream, app string) (Topology, uint64, error) {
	e, err := lastEntry(ctx, js, Bucket(app, "topology"), topologyKey)
	if err != nil {
		return Topology{}, 0, fmt.Errorf("read topology of app %s: %w", app, err)
	}
	if !e.there() {
		return Topology{}, e.revision, ErrNotFound
	}
	t, err := Decode(e.value)
	return t, e.revision, err
}
