package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// desk is what the operator's commands talk to: a router, and workers' answers from a store that the test fills.
type desk struct {
	nats  *testkit.NATSServer
	at    string // its flag
	redis string
	epoch topology.Epoch
	store store.Store
}

// newDesk starts a desk. serve adds workers to it.
func newDesk(t *testing.T) *desk {
	d := &desk{nats: testkit.NATS(t)}
	d.at = "--nats=" + d.nats.URL
	d.redis = testkit.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: d.redis})
	t.Cleanup(func() { _ = rdb.Close() })
	top := open(t, d.nats)
	d.epoch, d.store = top.Current(), redisstore.New(rdb, appname.Default, top.ID)
	return d
}

func (d *desk) route(t *testing.T) *route.Router {
	r, err := route.New(d.nats.Connect(t, nats.ReconnectBufSize(-1)), route.Config{
		App: appname.Default, Initial: topology.Initial{Shards: 4, Lanes: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}},
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r
}

// serve answers as a worker does.
func (d *desk) serve(t *testing.T, status query.Worker, owner query.Owner) {
	ring, err := d.epoch.Ring()
	require.NoError(t, err)
	s := query.NewServer(d.nats.Connect(t), appname.Default, ring, d.store, func() query.Worker { return status }, func(time.Duration, string) {})
	s.SetOwner(owner)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
}

func (d *desk) shard(t *testing.T, key string) int {
	ring, err := d.epoch.Ring()
	require.NoError(t, err)
	return ring.Shard(key)
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// put commits a list of events with the ids 1-0-10 and on.
func (d *desk) put(t *testing.T, key string, h aside.Head, data ...string) {
	l := store.List{Key: key, At: 10}
	for i, d := range data {
		e := aside.Event{ID: fmt.Sprint("1-0-", 10+i), Data: []byte(d), Time: began.Add(time.Duration(i) * time.Second)}
		if i == 0 {
			e.Type, e.Headers = "paid", map[string]string{"Mine": "1"}
		}
		l.Events = append(l.Events, e.Append(nil))
	}
	h.First, h.Next, h.Bytes = 10, 10+uint64(len(data)), 100
	l.Head = h.Append(nil)
	d.commit(t, d.shard(t, key), store.Commit{Lists: []store.List{l}})
}

func (d *desk) commit(t *testing.T, shard int, c store.Commit) {
	c.Shard, c.Old, c.New, c.Position = shard, store.NewVersion(), store.NewVersion(), store.Position{Epoch: 1, Seq: 9, Time: began}
	_, err := d.store.Claim(t.Context(), shard, 1, c.Old)
	require.NoError(t, err)
	require.NoError(t, d.store.Commit(t.Context(), &c))
}

// parked runs `worker parked` and returns its output.
func (d *desk) parked(t *testing.T, args ...string) string {
	t.Helper()
	cmd, stderr := command(t, append(append([]string{"parked"}, args...), d.at)...)
	out, err := cmd.Output()
	require.NoError(t, err, stderr)
	require.Empty(t, lines(stderr.String())[0], stderr)
	return string(out)
}

// refused runs `worker parked` and requires that it ends with one line.
func (d *desk) refused(t *testing.T, says string, args ...string) {
	t.Helper()
	requireRefused(t, 1, says, append(append([]string{"parked"}, args...), d.at)...)
}

// commands are those in the log.
func (d *desk) commands(t *testing.T) (out []frame.Command) {
	js, err := jetstream.New(d.nats.Conn)
	require.NoError(t, err)
	for seq := uint64(1); ; seq++ {
		m, err := topology.MessageAt(t.Context(), js, topology.StreamName(appname.Default, 1, 0), seq)
		if err != nil {
			require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
			return out
		}
		require.Equal(t, "command", m.Header.Get("Kind"))
		c, err := frame.DecodeCommand(m.Data)
		require.NoError(t, err)
		require.Equal(t, topology.WorkSubject(appname.Default, 1, 0, d.shard(t, c.Key)), m.Subject)
		out = append(out, c)
	}
}

// three fills the store with a parked key, one that is retried and one that waits for its first attempt.
func (d *desk) three(t *testing.T) {
	many := make([]string, 12)
	for i := range many {
		many[i] = fmt.Sprintf(`{"amount":%d}`, -i)
	}
	many[1] = "\x1b[2J\xff"
	d.put(t, "alice", aside.Head{Status: aside.Parked, Attempts: 5, Error: "handler panicked: no money\n\tapply.go:7\x1b[0m", Began: began, Last: began.Add(time.Minute)}, many...)
	d.put(t, "a b\n", aside.Head{Attempts: 2, Error: "busy", Began: began, Last: began.Add(time.Minute), Mark: aside.Mark{Op: aside.Drop, Until: 11}}, "x", "y")
	d.put(t, "bob", aside.Head{Status: aside.Running, Began: began}, "x")
}

func TestParkedListAndShow(t *testing.T) {
	d := newDesk(t)
	d.serve(t, query.Worker{}, query.Owner{})
	require.Equal(t, "no events are set aside\n", d.parked(t, "list"))
	require.Empty(t, d.parked(t, "list", "--json"))
	d.three(t)
	require.Equal(t, strings.TrimLeft(`
SHARD  KEY      STATUS         EVENTS  BYTES  ATTEMPTS  TRIED                 ERROR
0      "a b\n"  retrying,drop  2       100    2         2026-03-04T05:07:07Z  busy
2      alice    parked         12      100    5         2026-03-04T05:07:07Z  handler panicked: no money ...
3      bob      running        1       100    0         -                     -
3 keys, 1 parked; 15 events set aside
`, "\n"), d.parked(t, "list"))
	require.Equal(t, strings.TrimLeft(`
{"key":"a b\n","shard":0,"status":"retrying","count":2,"bytes":100,"first":"1-0-10","last":"1-0-11","attempts":2,"error":"busy","began":"2026-03-04T05:06:07Z","tried":"2026-03-04T05:07:07Z","order":"drop","ordered":1}
{"key":"alice","shard":2,"status":"parked","count":12,"bytes":100,"first":"1-0-10","last":"1-0-21","attempts":5,"error":"handler panicked: no money\n\tapply.go:7\u001b[0m","began":"2026-03-04T05:06:07Z","tried":"2026-03-04T05:07:07Z"}
{"key":"bob","shard":3,"status":"running","count":1,"bytes":100,"first":"1-0-10","last":"1-0-10","attempts":0,"began":"2026-03-04T05:06:07Z"}
`, "\n"), d.parked(t, "list", "--json"))
	require.Equal(t, strings.TrimLeft(`
key       alice
shard     2
status    parked
events    12, 100 bytes
first     1-0-10
last      1-0-21
attempts  5
began     2026-03-04T05:06:07Z
tried     2026-03-04T05:07:07Z
error     handler panicked: no money
              apply.go:7�[0m

1-0-10  2026-03-04T05:06:07Z  paid  {"amount":0}
1-0-11  2026-03-04T05:06:08Z  -     "\x1b[2J\xff"
1-0-12  2026-03-04T05:06:09Z  -     {"amount":-2}
1-0-13  2026-03-04T05:06:10Z  -     {"amount":-3}
1-0-14  2026-03-04T05:06:11Z  -     {"amount":-4}
1-0-15  2026-03-04T05:06:12Z  -     {"amount":-5}
1-0-16  2026-03-04T05:06:13Z  -     {"amount":-6}
1-0-17  2026-03-04T05:06:14Z  -     {"amount":-7}
1-0-18  2026-03-04T05:06:15Z  -     {"amount":-8}
1-0-19  2026-03-04T05:06:16Z  -     {"amount":-9}
and 2 more: worker parked export alice
`, "\n"), d.parked(t, "show", "alice"))
	require.Contains(t, d.parked(t, "show", "a b\n"), "\nat work   drop of 1 event\n")
}

func TestParkedExport(t *testing.T) {
	d := newDesk(t)
	d.serve(t, query.Worker{}, query.Owner{})
	d.three(t)
	out := d.parked(t, "export", "alice")
	require.Equal(t, 12, strings.Count(out, "\n"))
	require.True(t, strings.HasPrefix(out, strings.TrimLeft(`
{"key":"alice","index":10,"id":"1-0-10","type":"paid","data":"eyJhbW91bnQiOjB9","headers":{"Mine":"1"},"time":"2026-03-04T05:06:07Z"}
{"key":"alice","index":11,"id":"1-0-11","data":"G1sySv8=","time":"2026-03-04T05:06:08Z"}
`, "\n")), out)
	for line := range strings.Lines(out) {
		require.NoError(t, json.Unmarshal([]byte(line), new(query.WaitingEvent)))
	}
	d.refused(t, "key carol is not known", "export", "carol")
}

func TestParkedCommandsGoToTheLog(t *testing.T) {
	d := newDesk(t)
	d.serve(t, query.Worker{}, query.Owner{})
	d.route(t)
	d.three(t)
	require.Equal(t, "retry of 12 events of key alice is in the log: shard 2, stream "+topology.StreamName(appname.Default, 1, 0)+", sequence 1; see worker parked show alice\n", d.parked(t, "retry", "alice"))
	require.Equal(t, "drop of 1 event of key bob is in the log: shard 3, stream "+topology.StreamName(appname.Default, 1, 0)+", sequence 2\n", d.parked(t, "drop", "bob", "--yes"))
	require.Equal(t, "retry of 1 key with 12 events is in the log\n", d.parked(t, "retry", "--all"))
	d.put(t, "dora", aside.Head{Status: aside.Parked}, "x")
	require.Equal(t, "retry of 2 keys with 13 events is in the log\n", d.parked(t, "retry", "--all"))
	alice := frame.Command{Op: "retry", Key: "alice", First: "1-0-10", Last: "1-0-21", Count: 12}
	require.ElementsMatch(t, []frame.Command{
		alice, {Op: "drop", Key: "bob", First: "1-0-10", Last: "1-0-10", Count: 1}, alice,
		alice, {Op: "retry", Key: "dora", First: "1-0-10", Last: "1-0-10", Count: 1},
	}, d.commands(t))
}

func TestParkedRefusals(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{{"list"}, {"show", "alice"}, {"retry", "alice"}, {"retry", "--all"}, {"drop", "alice", "--yes"}, {"export", "alice"}, {"raise", "0", "--keys=7"}} {
		d.refused(t, "no worker is running", args...)
	}
	d.serve(t, query.Worker{}, query.Owner{})
	d.commit(t, d.shard(t, "erin"), store.Commit{States: []store.Pair{{Key: "erin", Value: store.Envelope{Codec: store.CodecJSON, Data: []byte("{}")}.Append(store.Proof{Count: 3}.Append(nil))}}})
	for _, verb := range []string{"show", "retry", "drop", "export"} {
		d.refused(t, "key carol is not known: it has neither a state nor events set aside", verb, "carol")
		d.refused(t, "key erin has no events set aside: 3 are applied to it", verb, "erin")
	}
	d.refused(t, "no key is parked: there is nothing to retry", "retry", "--all")
	d.three(t)
	d.refused(t, "key bob is not parked: it is running by itself, after 0 attempts", "retry", "bob")
	d.refused(t, `key "a b\n": a drop of 1 event is under way`, "retry", "a b\n")
	d.refused(t, "12 events of key alice would never be applied: give --yes, as there is no terminal to ask on", "drop", "alice")
	d.refused(t, "no router is running", "retry", "alice")
	d.refused(t, "no router is running", "retry", "--all")
	d.refused(t, "no router is running", "drop", "alice", "--yes")
	d.refused(t, "no owner of the shard has answered", "raise", "0", "--keys=7")
	d.refused(t, "there are shards 0 to 3", "raise", "9", "--keys=7")
	for args, says := range map[string]string{
		"": "expected one of", "list me": "unexpected argument me", "show": "<key>", "retry": "name one key, or give --all", "retry a --all": "name one key, or give --all",
		"drop": "<key>", "raise 1": "give --keys or --events, or both", "raise x --keys=1": "shard", "raise 1 --keys=-1": "keys", "export --app=UPPER a": "--app",
	} {
		requireRefused(t, 2, says, append([]string{"parked"}, strings.Fields(args)...)...)
	}
}

// A command that no router takes: the stream of the log is full, or the router may not acknowledge.
func TestParkedCommandThatTheLogRefuses(t *testing.T) {
	d := newDesk(t)
	d.serve(t, query.Worker{}, query.Owner{})
	d.route(t)
	d.three(t)
	js, err := jetstream.New(d.nats.Conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), topology.StreamName(appname.Default, 1, 0)))
	d.refused(t, `retry what waits of key "alice": refused (503): no stream takes this subject`, "retry", "alice")
	d.refused(t, `no retry of 1 key: retry what waits of key "alice": refused (503)`, "retry", "--all")
}

// At a cap a shard takes no commands from its log: a drop goes to its owner, and a retry is refused.
func TestParkedCommandsForAShardAtItsCap(t *testing.T) {
	d := newDesk(t)
	d.three(t)
	dropped := make(chan frame.Command, 1)
	d.serve(t, query.Worker{ID: "one", Shards: []query.ShardStatus{{Shard: 2, AtCap: true}, {Shard: 3}}}, query.Owner{
		Drop: func(_ context.Context, shard int, c frame.Command) error {
			if shard == 2 {
				dropped <- c
				return nil
			}
			return query.ErrNotOwner
		},
		Raise: func(_ context.Context, shard int, by topology.Caps) (topology.Caps, error) {
			if shard != 2 {
				return topology.Caps{}, query.ErrNotOwner
			}
			return topology.Caps{Keys: 10000, Events: 4000000}.Raised(by), nil
		},
	})
	d.refused(t, "shard 2 has reached a cap and takes no command from its log: worker parked raise 2, or drop keys of it first", "retry", "alice")
	d.refused(t, "no retry of 1 key: shard 2 has reached a cap", "retry", "--all")
	require.Equal(t, "drop of 12 events of key alice is under way: the owner of shard 2, whose log is blocked, has taken it\n", d.parked(t, "drop", "alice", "--yes"))
	require.Equal(t, frame.Command{Op: "drop", Key: "alice", First: "1-0-10", Last: "1-0-21", Count: 12}, <-dropped)
	require.Equal(t, "shard 2 may set aside 4000000 events of 20000 keys now\n", d.parked(t, "raise", "2", "--keys=20000"))
	d.route(t)
	d.refused(t, "no owner of the shard has answered", "raise", "1", "--keys=20000")
	require.Empty(t, d.commands(t))
}
