package worker_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const patience = 20 * time.Second // for what takes milliseconds on an idle machine

// apply starts a worker whose handler refuses overdrafts or allows them. stop ends it.
func (d *desk) apply(t *testing.T, overdraft string) (stop func()) {
	cmd, stderr := command(t, d.at, "--redis="+d.redis, "--overdraft="+overdraft, "--attempts=2", "--retry-min=1ms", "--retry-max=1ms")
	require.NoError(t, cmd.Start())
	return func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), "%s", stderr)
	}
}

// send sends a plain event.
func (d *desk) send(t *testing.T, key, data string) {
	m, err := d.nats.Conn.RequestMsg(&nats.Msg{Subject: topology.EventSubject(appname.Default) + "." + key, Data: []byte(data)}, patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), `"stream":"`+topology.StreamName(appname.Default, 1, 0)+`"`)
}

// await waits until the state of a key is as wanted, but for what a handler stores.
func (d *desk) await(t *testing.T, key string, want query.State) (data string) {
	t.Helper()
	var got query.State
	client := query.NewClient(d.nats.Conn, appname.Default)
	require.Eventually(t, func() bool {
		states, err := client.States(t.Context(), []string{key})
		if err != nil {
			return false
		}
		got = states[0]
		data, got.Data, got.Codec, got.Schema = string(got.Data), nil, 0, 0
		return got.Count == want.Count && got.SetAside == want.SetAside && got.Parked == want.Parked && got.Dropped == want.Dropped
	}, patience, 10*time.Millisecond, "%+v, wanted %+v", &got, want)
	want.Key, want.Found, want.Chain = key, got.Found, got.Chain
	require.Equal(t, want, got)
	return data
}

// An event that its handler refuses parks its key, and the others go on. An operator lists the keys, drops what waits of one, and has
// the others applied in order once the handler is mended.
func TestParkedKeysOfARunningWorker(t *testing.T) {
	d := newDesk(t)
	d.route(t)
	stop := d.apply(t, "refuse")
	for _, e := range [][2]string{
		{"alice", `{"amount":5}`}, {"alice", `{"amount":-7}`}, {"carol", `{"amount":4}`}, {"carol", `{"amount":-9}`}, {"dora", `{"amount":-2}`}, {"alice", `{"amount":3}`}, {"bob", `{"amount":1}`},
	} {
		d.send(t, e[0], e[1])
	}
	require.JSONEq(t, `{"balance":1}`, d.await(t, "bob", query.State{Count: 1}))
	require.JSONEq(t, `{"balance":5}`, d.await(t, "alice", query.State{Count: 1, SetAside: 2, Parked: true}))
	d.await(t, "carol", query.State{Count: 1, SetAside: 1, Parked: true})
	d.await(t, "dora", query.State{SetAside: 1, Parked: true})

	listed := make(map[string]query.List)
	for line := range strings.Lines(d.parked(t, "list", "--json")) {
		var l query.List
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		listed[l.Key] = l
	}
	require.Len(t, listed, 3)
	require.EqualValues(t, 2, listed["alice"].Count)
	require.EqualValues(t, 2, listed["alice"].Attempts)
	require.Equal(t, "parked", listed["alice"].Status)
	require.Contains(t, listed["alice"].Error, "the balance is 5 and would become -2")
	require.NotEqual(t, listed["alice"].First, listed["alice"].Last)
	shown := d.parked(t, "show", "alice")
	require.Contains(t, shown, "error     the balance is 5 and would become -2: overdrafts are refused\n")
	require.Less(t, strings.Index(shown, `{"amount":-7}`), strings.Index(shown, `{"amount":3}`))
	require.Equal(t, 2, strings.Count(d.parked(t, "export", "alice"), "\n"))

	// A retry under the handler that fails parks the key again, with its list as it was.
	require.Contains(t, d.parked(t, "retry", "dora"), "retry of 1 event of key dora is in the log")
	tried := listed["dora"].Tried
	require.Eventually(t, func() bool {
		var now query.List
		l, _, err := query.NewClient(d.nats.Conn, appname.Default).Waiting(t.Context(), "dora", 0)
		if err == nil && l != nil {
			now = *l
		}
		return now.Tried.After(tried) && now.Status == query.StatusParked && now.Count == 1
	}, patience, 10*time.Millisecond, "not tried again")

	require.Contains(t, d.parked(t, "drop", "carol", "--yes"), "drop of 1 event of key carol is in the log")
	require.JSONEq(t, `{"balance":4}`, d.await(t, "carol", query.State{Count: 1, Dropped: 1}))
	stop()
	defer d.apply(t, "allow")()
	require.Eventually(t, func() bool {
		workers, err := query.NewClient(d.nats.Conn, appname.Default).Status(t.Context(), 50*time.Millisecond)
		return err == nil && len(workers) == 1 && len(workers[0].Shards) == 4
	}, patience, 10*time.Millisecond, "the worker does not run again")
	require.Equal(t, "retry of 2 keys with 3 events is in the log\n", d.parked(t, "retry", "--all"))
	require.JSONEq(t, `{"balance":1}`, d.await(t, "alice", query.State{Count: 3}))
	require.JSONEq(t, `{"balance":-2}`, d.await(t, "dora", query.State{Count: 1}))
	states, err := query.NewClient(d.nats.Conn, appname.Default).States(t.Context(), []string{"alice"})
	require.NoError(t, err)
	require.Equal(t, chainOf(`{"amount":5}`, `{"amount":-7}`, `{"amount":3}`), states[0].Chain, "applied in another order")
	require.Equal(t, "no events are set aside\n", d.parked(t, "list"))
}

// A cap that an operator raises is kept in the topology's bucket too.
func TestParkedRaiseOfARunningWorker(t *testing.T) {
	d := newDesk(t)
	defer d.apply(t, "allow")()
	require.Eventually(t, func() bool {
		cmd, _ := command(t, "parked", "raise", "2", "--keys=20000", d.at)
		out, err := cmd.Output()
		return err == nil && string(out) == "shard 2 may set aside 4000000 events of 20000 keys now\n"
	}, patience, 10*time.Millisecond, "not raised")
	js, err := jetstream.New(d.nats.Conn)
	require.NoError(t, err)
	kv, err := js.KeyValue(t.Context(), topology.Bucket(appname.Default, "topology"))
	require.NoError(t, err)
	caps, err := topology.LoadCaps(t.Context(), js, kv, 2)
	require.NoError(t, err)
	require.EqualValues(t, 20000, caps.Keys)
}

// chainOf is that of some payloads.
func chainOf(payloads ...string) string {
	var p store.Proof
	for _, data := range payloads {
		p = p.Apply([]byte(data))
	}
	return fmt.Sprintf("%016x", p.Chain)
}
