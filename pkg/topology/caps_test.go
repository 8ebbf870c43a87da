package topology

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestCapsText(t *testing.T) {
	for text, caps := range map[string]Caps{
		"":                                 {},
		`{"schema":1,"keys":7}`:            {Keys: 7},
		`{"schema":1,"events":9}`:          {Events: 9},
		`{"schema":1,"keys":7,"events":9}`: {Keys: 7, Events: 9},
	} {
		require.Equal(t, text, caps.String())
		got, err := ParseCaps(text)
		require.NoError(t, err)
		require.Equal(t, caps, got)
	}
	for text, says := range map[string]string{"7": "read caps \"7\"", "{}": "schema 0 is not known", `{"schema":2}`: "upgrade this program"} {
		_, err := ParseCaps(text)
		require.ErrorContains(t, err, says)
	}
}

func TestRaiseCaps(t *testing.T) {
	n := testkit.NATS(t)
	js := stream(t, n)
	_, kv, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	load := func(shard int) Caps {
		c, err := LoadCaps(t.Context(), js, kv, shard)
		require.NoError(t, err)
		return c
	}
	raise := func(by Caps) Caps {
		c, err := RaiseCaps(t.Context(), js, kv, 2, by)
		require.NoError(t, err)
		return c
	}
	require.Zero(t, load(2))
	require.Equal(t, Caps{Keys: 20000}, raise(Caps{Keys: 20000}))
	require.Equal(t, Caps{Keys: 20000, Events: 9}, raise(Caps{Keys: 100, Events: 9}), "no cap sinks")
	require.Equal(t, Caps{Keys: 20000, Events: 9}, raise(Caps{Keys: 100, Events: 8}))
	require.Equal(t, Caps{Keys: 20000, Events: 9}, load(2))
	require.Zero(t, load(1))

	put(t, kv, "caps.2", `{"schema":2}`)
	_, err = LoadCaps(t.Context(), js, kv, 2)
	require.ErrorContains(t, err, "shard 2: read caps")
	_, err = RaiseCaps(t.Context(), js, kv, 2, Caps{Keys: 1})
	require.ErrorContains(t, err, "upgrade this program")
	require.NoError(t, kv.Delete(t.Context(), "caps.2"))
	require.Zero(t, load(2))
	require.Equal(t, Caps{Keys: 1}, raise(Caps{Keys: 1}))
}

// Of two that raise the caps at once one fails, or both are in force.
func TestCapsRaisedAtOnce(t *testing.T) {
	n := testkit.NATS(t)
	js := stream(t, n)
	_, kv, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	by := []Caps{{Keys: 7}, {Events: 9}}
	errs := make([]error, 2)
	var raising sync.WaitGroup
	for i := range by {
		raising.Go(func() { _, errs[i] = RaiseCaps(t.Context(), js, kv, 0, by[i]) })
	}
	raising.Wait()
	var want Caps
	for i, err := range errs {
		if err == nil {
			want = want.Raised(by[i])
			continue
		}
		require.ErrorContains(t, err, "keep the caps of shard 0")
	}
	require.NotZero(t, want)
	got, err := LoadCaps(t.Context(), js, kv, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// entriesOfPermits notes the permits that a Watcher delivers.
type entriesOfPermits struct{ routers chan string }

func (p entriesOfPermits) Delivered(router string, _ jetstream.KeyValueEntry) { p.routers <- router }
func (p entriesOfPermits) Suspend(error)                                      { panic("suspended") }
func (p entriesOfPermits) Resume()                                            { panic("resumed") }
func (p entriesOfPermits) Revoke()                                            { panic("revoked") }

// Caps lie in the bucket of topology and permits, which neither a router's watch nor a worker's takes for one of these. A sweep
// of the bucket leaves them.
func TestCapsAreNeitherTopologyNorPermit(t *testing.T) {
	n := testkit.NATS(t)
	js := stream(t, n)
	top, kv, err := Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	_, err = RaiseCaps(t.Context(), js, kv, 1, Caps{Keys: 7})
	require.NoError(t, err)
	permits := entriesOfPermits{make(chan string, 9)}
	router, err := Watch(t.Context(), n.Conn, kv, permits, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer router.Stop()
	worker, err := Watch(t.Context(), n.Conn, kv, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer worker.Stop()
	changed := [2]<-chan struct{}{router.Changed(), worker.Changed()}
	_, err = RaiseCaps(t.Context(), js, kv, 1, Caps{Keys: 8})
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), "caps.1"))
	_, err = RaiseCaps(t.Context(), js, kv, 1, Caps{Keys: 9})
	require.NoError(t, err)
	put(t, kv, PermitKey("x"), "{}")
	require.Equal(t, "x", <-permits.routers)
	for _, c := range changed {
		select {
		case <-c:
			require.Fail(t, "caps were taken for a topology")
		default:
		}
	}
	next := top
	next.Epochs = append(next.Epochs, Epoch{Epoch: 2, Shards: 5, Lanes: 1})
	put(t, kv, topologyKey, string(encode(next)))
	for i, w := range []*Watcher{router, worker} {
		await(t, changed[i])
		require.Equal(t, next, w.Current())
		require.NoError(t, w.Err())
	}

	require.NoError(t, Sweep(t.Context(), js, "app", -time.Hour, quiet))
	left, err := LoadCaps(t.Context(), js, kv, 1)
	require.NoError(t, err)
	require.Equal(t, Caps{Keys: 9}, left)
}
