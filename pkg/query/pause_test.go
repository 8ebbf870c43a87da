package query_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"
)

// servePausable answers as a worker does that has been told for how long it is paused, and never heard the end of it.
func (r *rig) servePausable(t *testing.T, id string, shards ...query.ShardStatus) *atomic.Int64 {
	told := new(atomic.Int64)
	told.Store(-1)
	s := query.NewServer(r.nats.Connect(t), "app", ringOf(t, 4), r.store, func() query.Worker {
		return query.Worker{ID: id, Shards: shards, PausedMS: query.Milliseconds(time.Duration(told.Load()))}
	}, func(d time.Duration, _ string) { told.Store(int64(d)) })
	require.NoError(t, s.Start(limit(t)))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return told
}

func TestPauseReachesEveryWorker(t *testing.T) {
	r := newRig(t)
	b := r.servePausable(t, "b", query.ShardStatus{Shard: 3}, query.ShardStatus{Shard: 1})
	a := r.servePausable(t, "a")
	for _, d := range []time.Duration{1500 * time.Millisecond, query.MaxPause, 0, time.Millisecond} {
		workers, err := r.client.Pause(limit(t), d, 300*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, []query.Worker{
			{ID: "a", PausedMS: d.Milliseconds()},
			{ID: "b", PausedMS: d.Milliseconds(), Shards: []query.ShardStatus{{Shard: 1}, {Shard: 3}}},
		}, workers)
		require.Equal(t, int64(d), a.Load())
		require.Equal(t, int64(d), b.Load())
	}
	workers, err := r.client.Pause(limit(t), time.Nanosecond, 300*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, workers, 2)
	require.Equal(t, int64(time.Millisecond), a.Load(), "only no time at all resumes")
}

func TestPauseRefuses(t *testing.T) {
	r := newRig(t)
	told := r.servePausable(t, "a")
	const how = `send {"for_ms":5000,"by":"your name"}, or {"for_ms":0} to resume`
	for body, says := range map[string]string{
		"":                                how,
		"5000":                            how,
		"{}":                              "for_ms is missing: " + how,
		`{"for":5000}`:                    "for_ms is missing: " + how,
		`{"for_ms":null}`:                 "for_ms is missing: " + how,
		`{"for_ms":"5s"}`:                 how,
		`{"for_ms":1.5}`:                  how,
		`{"for_ms":5000}{`:                how,
		`{"for_ms":-1}`:                   "cannot pause for -1 ms: 0 to 60000 are allowed",
		`{"for_ms":60001}`:                "cannot pause for 60001 ms: 0 to 60000 are allowed",
		`{"for_ms":9223372036854775807}`:  "0 to 60000 are allowed",
		`{"for_ms":92233720368547758070}`: how,
	} {
		m, err := r.nats.Conn.Request(topology.ControlSubject("app", "pause"), []byte(body), wait)
		require.NoError(t, err)
		require.Equal(t, "400", m.Header.Get(micro.ErrorCodeHeader), body)
		require.Contains(t, m.Header.Get(micro.ErrorHeader), says, body)
	}
	for _, d := range []time.Duration{-1, -time.Second, query.MaxPause + 1} {
		_, err := r.client.Pause(limit(t), d, wait)
		require.ErrorContains(t, err, "must be 0 to 1m0s")
	}
	require.Equal(t, int64(-1), told.Load(), "nothing else happens")
}

func TestPauseWithoutWorkers(t *testing.T) {
	r := newRig(t)
	_, err := r.client.Pause(limit(t), time.Second, wait)
	require.ErrorIs(t, err, query.ErrNoWorker)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.servePausable(t, "a")
	_, err = r.client.Pause(ctx, time.Second, wait)
	require.ErrorIs(t, err, context.Canceled)
}

// What a worker cannot do is an error, with its reason.
func TestPauseThatAWorkerRefuses(t *testing.T) {
	r := newRig(t)
	sub, err := r.nats.Conn.Subscribe(topology.ControlSubject("app", "pause"), func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"400"}, micro.ErrorHeader: {"not for so long"}}})
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	_, err = r.client.Pause(limit(t), time.Second, wait)
	require.ErrorContains(t, err, "not for so long")
}

// A worker learns who paused it only from the request: the name that the client gives, and where it awaits the answer.
func TestPauseNamesTheAsker(t *testing.T) {
	r := newRig(t)
	asked := make(chan string, 1)
	status, pause := func() query.Worker { return query.Worker{} }, func(_ time.Duration, by string) { asked <- by }
	s := query.NewServer(r.nats.Connect(t), "app", ringOf(t, 4), r.store, status, pause)
	require.NoError(t, s.Start(limit(t)))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	named, err := nats.Connect(r.nats.URL, nats.Name("load of the night"))
	require.NoError(t, err)
	defer named.Close()
	_, err = query.NewClient(named, "app").Pause(limit(t), time.Second, 50*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "load of the night", <-asked)
	_, err = r.nats.Conn.Request(topology.ControlSubject("app", "pause"), []byte(`{"for_ms":1}`), wait)
	require.NoError(t, err)
	require.Regexp(t, `^a client without a name, answered on _INBOX\.`, <-asked)

	subject := topology.ControlSubject("app", "pause")
	for body, want := range map[string]string{
		`{"for_ms":1}`:                                          `a client without a name, answered on no subject`,
		`{"for_ms":1,"by":"two\nlines\u0007"}`:                  `twolines`,
		`{"for_ms":1,"by":"` + strings.Repeat("x", 1000) + `"}`: strings.Repeat("x", 64),
	} {
		require.NoError(t, r.nats.Conn.Publish(subject, []byte(body)))
		require.Equal(t, want, <-asked)
	}
}
