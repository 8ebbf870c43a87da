package query_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// owned is a shard that the test owns, to commit lists to.
type owned struct {
	*rig
	shard   int
	version store.Version
}

func (r *rig) own(t *testing.T, shard int) *owned {
	o := &owned{r, shard, store.NewVersion()}
	_, err := r.store.Claim(limit(t), shard, 5, o.version)
	require.NoError(t, err)
	return o
}

// commit commits changes of lists.
func (o *owned) commit(t *testing.T, lists ...store.List) {
	c := &store.Commit{Shard: o.shard, Old: o.version, New: store.NewVersion(), Position: store.Position{Epoch: 1, Seq: 9, Time: time.Unix(7, 0)}, Lists: lists}
	require.NoError(t, o.store.Commit(limit(t), c))
	o.version = c.New
}

var began = time.Unix(1_700_000_000, 0).UTC()

// list is a key's list with events from an index on, each with some data.
func list(key string, h aside.Head, data ...string) store.List {
	l := store.List{Key: key, At: h.First}
	for i, d := range data {
		e := aside.Event{ID: id(h.First + uint64(i)), Type: "paid", Data: []byte(d), Headers: map[string]string{"Mine": "1"}, Time: began, Seq: 7, Receipt: i == 0}
		l.Events = append(l.Events, e.Append(nil))
		h.Bytes += uint64(len(l.Events[i]))
	}
	h.Next = h.First + uint64(len(data))
	l.Head = h.Append(nil)
	return l
}

func id(index uint64) string { return fmt.Sprint("1-0-", index) }

// all are the lists that the client gets.
func (r *rig) all(t *testing.T) (out []query.List) {
	require.NoError(t, r.client.Lists(limit(t), func(l query.List) error {
		out = append(out, l)
		return nil
	}))
	return out
}

func TestLists(t *testing.T) {
	r := newRig(t)
	r.serve(t, 3, query.Worker{})
	r.serve(t, 3, query.Worker{})
	require.Empty(t, r.all(t))
	zero, two := r.own(t, 0), r.own(t, 2)
	require.Empty(t, r.all(t))
	zero.commit(t,
		list("b", aside.Head{First: 5, Status: aside.Parked, Attempts: 5, Error: "no money", Began: began, Last: began.Add(time.Second)}, "x", "yy", "z"),
		list("a\n", aside.Head{Status: aside.Running, Began: began}, "x"))
	two.commit(t, list("c", aside.Head{First: 2, Attempts: 1, Error: "no", Began: began, Last: began, Mark: aside.Mark{Op: aside.Retry, Until: 4}}, "1", "2", "3"))

	got := r.all(t)
	for i := range got {
		require.Positive(t, got[i].Bytes)
		got[i].Bytes = 0
	}
	require.Equal(t, []query.List{
		{Key: "a\n", Shard: 0, Status: "running", Count: 1, First: id(0), Last: id(0), Began: began},
		{Key: "b", Shard: 0, Status: "parked", Count: 3, First: id(5), Last: id(7), Attempts: 5, Error: "no money", Began: began, Tried: began.Add(time.Second)},
		{Key: "c", Shard: 2, Status: "retrying", Count: 3, First: id(2), Last: id(4), Attempts: 1, Error: "no", Began: began, Tried: began, Order: "retry", Ordered: 2},
	}, got)

	stop := errors.New("stop")
	require.ErrorIs(t, r.client.Lists(limit(t), func(query.List) error { return stop }), stop)
}

// An answer has no more than a message holds, and its page no more lists than are allowed. None is missing.
func TestListsInPages(t *testing.T) {
	r := newRig(t)
	r.serve(t, 2, query.Worker{})
	o := r.own(t, 1)
	var want []string
	var lists []store.List
	for i := range 1203 {
		key := fmt.Sprintf("key-%05d%s", i, strings.Repeat("\x01", 400)) // six bytes each in JSON
		want = append(want, key)
		lists = append(lists, list(key, aside.Head{First: uint64(i), Status: aside.Parked, Error: strings.Repeat("\x01", 1000)}, "x"))
	}
	for some := range slices.Chunk(lists, 300) {
		o.commit(t, some...)
	}
	var got []string
	for _, l := range r.all(t) {
		require.Equal(t, 1, l.Shard)
		got = append(got, l.Key)
	}
	require.Equal(t, want, got)
}

func TestWaitingEvents(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	o := r.own(t, 0)
	l, events, err := r.client.Waiting(limit(t), "k", 10)
	require.NoError(t, err)
	require.Nil(t, l)
	require.Empty(t, events)
	_, _, err = r.client.Waiting(limit(t), "", 10)
	require.ErrorContains(t, err, `event has no key: send {"key"`)

	var data []string
	for i := range 4000 {
		data = append(data, fmt.Sprint("{\"n\":", i, "}"))
	}
	data[17] = string(bytes.Repeat([]byte{0xff}, 500<<10)) // an answer of its own
	head := aside.Head{First: 3, Status: aside.Parked}
	for i := 0; i < len(data); i += 1000 {
		part := list("k", aside.Head{First: 3 + uint64(i), Status: aside.Parked}, data[i:i+1000]...)
		head.Next = 3 + uint64(i) + 1000
		part.Head = head.Append(nil)
		o.commit(t, part)
	}
	var got []query.WaitingEvent
	l, err = r.client.EachWaiting(limit(t), "k", func(e query.WaitingEvent) error {
		got = append(got, e)
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 4000, l.Count)
	require.Equal(t, id(3), l.First)
	require.Equal(t, id(4002), l.Last)
	require.Len(t, got, 4000)
	for i, e := range got {
		require.Equal(t, uint64(3+i), e.Index)
		require.Equal(t, data[i], string(e.Data))
	}
	got[1].Data = nil
	require.Equal(t, query.WaitingEvent{Index: 4, ID: id(4), Type: "paid", Headers: map[string]string{"Mine": "1"}, Time: began}, got[1])
	require.True(t, got[0].Receipt)

	_, events, err = r.client.Waiting(limit(t), "k", 2)
	require.NoError(t, err)
	require.Equal(t, []string{data[0], data[1]}, []string{string(events[0].Data), string(events[1].Data)})
	require.Len(t, events, 2)

	// The first events are applied between two pages.
	n := 0
	_, err = r.client.EachWaiting(limit(t), "k", func(query.WaitingEvent) error {
		if n++; n == 5 {
			head.First = 100
			o.commit(t, store.List{Key: "k", Head: head.Append(nil), Drop: 3, Till: 100, At: head.Next})
		}
		return nil
	})
	require.ErrorIs(t, err, query.ErrListChanged)
}

// A key's state tells what waits of it, whether it has a state or not.
func TestStatesTellWhatWaits(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	r.keep(t, 0, 0, "a", "b")
	r.own(t, 0).commit(t, list("b", aside.Head{First: 1}, "x", "y"), list("c", aside.Head{Status: aside.Parked}, "x"))
	states, err := r.client.States(limit(t), []string{"a", "b", "c"})
	require.NoError(t, err)
	require.Zero(t, states[0].SetAside)
	require.True(t, states[1].Found)
	require.EqualValues(t, 2, states[1].SetAside)
	require.False(t, states[1].Parked)
	require.Equal(t, query.State{Key: "c", SetAside: 1, Parked: true}, states[2])
}

func TestListsRefused(t *testing.T) {
	r := newRig(t)
	s := r.serve(t, 2, query.Worker{})
	for subject, bodies := range map[string]map[string]string{
		"parked.list":  {"": "not a request", `{"shard":2}`: "there are shards 0 to 1", `{"shard":-1}`: "there are shards 0 to 1", `[]`: "not a request"},
		"parked.show":  {"": "not a request", `{}`: "event has no key", `{"key":7}`: "not a request"},
		"parked.raise": {"": "not a request", `{"shard":2,"keys":1}`: "there are shards 0 to 1", `{"shard":1}`: "raises nothing"},
		"parked.drop":  {"": "not a request", `{"key":"k"}`: "first is missing", `{"key":"k","first":"a","last":"b","count":1}`: "do not fit together"},
	} {
		for body, says := range bodies {
			m, err := r.nats.Conn.Request(topology.ControlSubject("app", subject), []byte(body), wait)
			require.NoError(t, err)
			require.Contains(t, m.Header.Get("Nats-Service-Error"), says, "%s %s", subject, body)
			require.Equal(t, "400", m.Header.Get("Nats-Service-Error-Code"))
		}
	}
	s.Refuse("it cannot follow the topology")
	err := r.client.Lists(limit(t), func(query.List) error { return nil })
	require.ErrorContains(t, err, "it cannot follow the topology")
	require.NoError(t, s.Stop(limit(t)))
	_, _, err = r.client.Waiting(limit(t), "k", 1)
	require.ErrorIs(t, err, query.ErrNoWorker)
	_, err = r.client.RaiseCaps(limit(t), 0, topology.Caps{Keys: 1})
	require.ErrorIs(t, err, query.ErrNoWorker)
}

// serveOwner answers as a worker does that owns some shards.
func (r *rig) serveOwner(t *testing.T, o query.Owner) {
	s := query.NewServer(r.nats.Connect(t), "app", ringOf(t, 4), r.store, func() query.Worker { return query.Worker{} }, noPause)
	s.SetOwner(o)
	require.NoError(t, s.Start(limit(t)))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
}

// All workers get a request for a shard's owner, and only the owner answers.
func TestOwnerAnswersAlone(t *testing.T) {
	r := newRig(t)
	r.serve(t, 4, query.Worker{}) // owns no shard
	shard := ringOf(t, 4).Shard("k")
	for owner := range 2 {
		r.serveOwner(t, query.Owner{
			Raise: func(_ context.Context, n int, by topology.Caps) (topology.Caps, error) {
				if n%2 != owner {
					return topology.Caps{}, fmt.Errorf("shard %d: %w", n, query.ErrNotOwner)
				}
				return topology.Caps{Keys: uint64(n), Events: 7}.Raised(by), nil
			},
			Drop: func(_ context.Context, n int, c frame.Command) error {
				if n%2 != owner {
					return query.ErrNotOwner
				}
				return fmt.Errorf("shard %d has no list of %+v", n, c)
			},
		})
	}
	for n := range 4 {
		caps, err := r.client.RaiseCaps(limit(t), n, topology.Caps{Events: 9})
		require.NoError(t, err)
		require.Equal(t, topology.Caps{Keys: uint64(n), Events: 9}, caps)
	}
	err := r.client.DropAtOwner(limit(t), frame.Command{Key: "k", First: "a", Last: "b", Count: 2})
	require.EqualError(t, err, fmt.Sprintf(`drop what waits of key "k": shard %d has no list of {Op:drop Key:k First:a Last:b Count:2}`, shard))
}

func TestNoOwnerAnswers(t *testing.T) {
	r := newRig(t)
	r.serve(t, 4, query.Worker{})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := r.client.RaiseCaps(ctx, 1, topology.Caps{Keys: 9})
	require.ErrorIs(t, err, query.ErrNoOwner)
}

// startRouter starts a router.
func (r *rig) startRouter(t *testing.T) *route.Router {
	router, err := route.New(r.nats.Connect(t, nats.ReconnectBufSize(-1)), route.Config{
		App: "app", Initial: topology.Initial{Shards: 4, Lanes: 1, Log: topology.Log{Replicas: 1, MaxBytes: 64 << 20}},
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.NoError(t, router.Start(limit(t)))
	t.Cleanup(func() { _ = router.Stop(limit(t)) })
	return router
}

func TestOrder(t *testing.T) {
	r := newRig(t)
	c := frame.Command{Op: frame.CommandRetry, Key: "k", First: "a", Last: "b", Count: 2}
	_, err := r.client.Order(limit(t), c)
	require.ErrorIs(t, err, query.ErrNoRouter)
	router := r.startRouter(t)
	_, err = r.client.Order(limit(t), frame.Command{Op: frame.CommandRetry})
	require.ErrorIs(t, err, frame.ErrBadCommand)

	stored, err := r.client.Order(limit(t), c)
	require.NoError(t, err)
	require.Equal(t, query.Stored{Stream: "APP_1_0", Seq: 1}, stored)
	js, err := jetstream.New(r.nats.Conn)
	require.NoError(t, err)
	m, err := topology.MessageAt(limit(t), js, "APP_1_0", 1)
	require.NoError(t, err)
	require.Equal(t, string(c.Append(nil)), string(m.Data))
	require.Equal(t, topology.WorkSubject("app", 1, 0, ringOf(t, 4).Shard("k")), m.Subject)

	// The answer of a stream that is not the log is not believed.
	_, err = js.CreateStream(limit(t), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"app.in.>"}})
	require.NoError(t, err)
	stored, err = r.client.Order(limit(t), c)
	require.NoError(t, err)
	require.Equal(t, query.Stored{Stream: "APP_1_0", Seq: 2}, stored)
	require.NoError(t, router.Stop(limit(t)))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err = r.client.Order(ctx, c)
	require.ErrorIs(t, err, query.ErrNoRouter)
	require.ErrorContains(t, err, "only stream OTHER")
}
