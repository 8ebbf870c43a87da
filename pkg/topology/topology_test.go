package topology

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second // for what takes milliseconds on an idle machine

var (
	quiet   = slog.New(slog.DiscardHandler)
	initial = Initial{Shards: 4, Lanes: 2, Log: Log{Replicas: 1, MaxBytes: 1 << 24, HistoryAge: time.Hour, HistoryBytes: 1 << 20}}
)

// stream returns a JetStream on a connection of its own.
func stream(t testing.TB, n *testkit.NATSServer) jetstream.JetStream {
	js, err := jetstream.New(n.Connect(t))
	require.NoError(t, err)
	return js
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		StreamName("my-app", 3, 1):      "MY-APP_3_1",
		WorkSubject("my-app", 3, 1, 17): "my-app.work.3.1.17",
		FrameSubject("app"):             "app.in.frame",
		EventSubject("app"):             "app.in.event",
		ControlSubject("app", "query"):  "app.ctl.query",
		ReceiptSubject("app", "0a"):     "app.ctl.receipt.0a",
		Bucket("app", "topology"):       "app_topology",
	} {
		require.Equal(t, want, name)
	}
}

func TestInitialValidate(t *testing.T) {
	require.NoError(t, initial.Validate())
	for want, change := range map[string]func(*Initial){
		"0 shards: must be 1 to 4096":                   func(i *Initial) { i.Shards = 0 },
		"4097 shards: must be 1 to 4096":                func(i *Initial) { i.Shards = 4097 },
		"5 lanes: must be 1 to the number of shards, 4": func(i *Initial) { i.Lanes = 5 },
		"-1 lanes: must be at least 1, or auto":         func(i *Initial) { i.Lanes = -1 },
		"0 replicas: must be 1 to 5":                    func(i *Initial) { i.Log.Replicas = 0 },
		"6 replicas: must be 1 to 5":                    func(i *Initial) { i.Log.Replicas = 6 },
		"log of 1048575 bytes: must be at least 1 MiB":  func(i *Initial) { i.Log.MaxBytes = 1<<20 - 1 },
		"log of 0 bytes: must be at least 1 MiB":        func(i *Initial) { i.Log.MaxBytes = 0 },
		"history of -1ns: must not be negative":         func(i *Initial) { i.Log.HistoryAge = -1 },
		"history of -1 bytes: must not be negative":     func(i *Initial) { i.Log.HistoryBytes = -1 },
	} {
		i := initial
		change(&i)
		require.EqualError(t, i.Validate(), want)
	}
}

func TestLanesByDefault(t *testing.T) {
	for shards, lanes := range map[int]int{1: 1, 16: 1, 17: 2, 32: 2, 33: 3, MaxShards: 256} {
		e, err := Initial{Shards: shards}.epoch()
		require.NoError(t, err)
		require.Equal(t, Epoch{Epoch: 1, Shards: shards, Lanes: lanes}, e)
	}
}

func TestEpochs(t *testing.T) {
	top := Topology{Epochs: []Epoch{{Epoch: 2, Shards: 4, Lanes: 2, Ended: true}, {Epoch: 3, Shards: 5, Lanes: 3}}}
	require.EqualValues(t, 3, top.Current().Epoch)
	e, ok := top.Epoch(2)
	require.True(t, ok)
	require.Equal(t, top.Epochs[0], e)
	_, ok = top.Epoch(1)
	require.False(t, ok)
	require.Equal(t, 1, top.Current().Lane(4))
	ring, err := e.Ring()
	require.NoError(t, err)
	require.Less(t, ring.Shard("key"), 4)
}

func TestDecodeRefuses(t *testing.T) {
	const good = `{"schema":2,"id":"x","epochs":[{"epoch":1,"shards":2,"lanes":1}]}`
	top, err := Decode([]byte(good))
	require.NoError(t, err)
	require.Equal(t, 1, top.Needs, "older versions do not write it")
	for _, c := range [][3]string{
		{good, "", "unexpected end of JSON input"},
		{good, "[]", "cannot unmarshal array"},
		{`"epochs":[`, `"epochs":3,"e":[`, "cannot unmarshal number"},
		{good, good + "x", "invalid character 'x'"},
		{`"schema":2`, `"schema":3`, "schema 3 is not known to this version (it knows 2): upgrade this program"},
		{`"schema":2`, `"schema":0`, "schema 0 is not known"},
		{good, "null", "schema 0 is not known: if a newer version wrote it, upgrade this program; else delete the entry and write it again"},
		{`"schema":2`, `"schema":2,"needs":2`, "it needs format 2, and this version knows 1: upgrade this program"},
		{`"schema":2`, `"schema":2,"needs":"much"`, "cannot unmarshal string"},
		{`"schema":2`, `"schema":1`, "its log was written by an earlier version, in a format that this one does not read: let the earlier version apply all that is in it, then begin with an empty log and store"},
		{`"id":"x","epochs":[`, `"needs":7,"id":{},"epochs":["e",`, "it needs format 7"},
		{`"id":"x",`, ``, "it has no id"},
		{`{"epoch":1,"shards":2,"lanes":1}`, ``, "it has no epochs"},
		{`"epoch":1`, `"epoch":0`, "epoch 0 follows epoch 0"},
		{`[{`, `[{"epoch":2,"shards":1,"lanes":1},{`, "epoch 1 follows epoch 2"},
		{`"shards":2`, `"shards":0`, "epoch 1: 0 shards: must be 1 to 4096"},
		{`"shards":2`, `"shards":4097`, "4097 shards"},
		{`"lanes":1`, `"lanes":0`, "epoch 1: 0 lanes: must be 1 to the number of shards, 2"},
		{`"lanes":1`, `"lanes":3`, "3 lanes"},
	} {
		require.Contains(t, good, c[0])
		_, err := Decode([]byte(strings.Replace(good, c[0], c[1], 1)))
		require.ErrorIs(t, err, ErrUnreadable)
		require.ErrorContains(t, err, c[2])
	}
}
