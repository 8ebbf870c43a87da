package topology

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestWatch(t *testing.T) {
	n := testkit.NATS(t)
	_, err := Watch(t.Context(), n.Conn, bucket(t, n.Conn), nil, quiet)
	require.ErrorIs(t, err, ErrNotFound)

	top, kv, err := Open(t.Context(), stream(t, n), "app", initial, quiet)
	require.NoError(t, err)
	var log testkit.Log
	w, err := Watch(t.Context(), n.Conn, kv, nil, log.Logger())
	require.NoError(t, err)
	defer w.Stop()
	require.Equal(t, top, w.Current())

	changed := w.Changed()
	put(t, kv, PermitKey("x"), "{}") // of no interest
	next := top
	next.Epochs = append(next.Epochs, Epoch{Epoch: 2, Shards: 5, Lanes: 1})
	put(t, kv, topologyKey, string(encode(next)))
	await(t, changed)
	require.Equal(t, next, w.Current())

	// A topology that was deleted leaves the previous one current.
	require.NoError(t, kv.Delete(t.Context(), topologyKey))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "the topology was deleted") }, patience, time.Millisecond)
	require.Equal(t, next, w.Current())
	require.NoError(t, w.Err())

	// One that cannot be read must not be passed over, until one is there that can.
	changed = w.Changed()
	put(t, kv, topologyKey, `{"schema":2,"needs":2}`)
	await(t, changed)
	require.ErrorIs(t, w.Err(), ErrUnreadable)
	require.ErrorContains(t, w.Err(), "needs format 2")
	_, err = Watch(t.Context(), n.Conn, kv, nil, quiet)
	require.ErrorIs(t, err, ErrUnreadable)
	changed = w.Changed()
	put(t, kv, topologyKey, string(encode(next)))
	await(t, changed)
	require.NoError(t, w.Err())

	// Nor does it go back, or follow another topology, which ends this process's part.
	put(t, kv, topologyKey, string(encode(top)))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "received an older topology") }, patience, time.Millisecond)
	other := next
	other.ID = "another"
	put(t, kv, topologyKey, string(encode(other)))
	await(t, w.Replaced())
	require.Equal(t, next, w.Current())
	require.Eventually(t, func() bool { return errors.Is(w.Err(), ErrReplaced) }, patience, time.Millisecond)

	changed = w.Changed()
	next.Epochs = next.Epochs[1:]
	put(t, kv, topologyKey, string(encode(next)))
	await(t, changed)
	require.Equal(t, next, w.Current())
	require.NoError(t, w.Err())
}

func await(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("waited too long")
	}
}

// A Watcher made by a Part's start leaves no goroutine, wherever the start ends, and its Stop may be called often and
// concurrently.
func TestWatchStartStopStress(t *testing.T) {
	n := testkit.NATS(t)
	nc := n.Connect(t, nats.ReconnectBufSize(-1))
	_, kv, err := Open(t.Context(), stream(t, n), "app", initial, quiet)
	require.NoError(t, err)
	testkit.StressStartStop(t, func() lifecycle.Part {
		var w *Watcher
		return lifecycle.NewOnce("watcher", func(ctx context.Context) (err error) {
			w, err = Watch(ctx, nc, kv, nil, quiet)
			return err
		}, func(context.Context) error {
			if w == nil {
				return nil
			}
			var stops sync.WaitGroup
			for range 3 {
				stops.Go(w.Stop)
			}
			stops.Wait()
			w.Stop()
			return nil
		})
	})
}
