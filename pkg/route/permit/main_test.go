package permit

import (
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testkit.Main()
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second // for what takes milliseconds on an idle machine

var (
	quiet   = slog.New(slog.DiscardHandler)
	initial = topology.Initial{Shards: 4, Lanes: 2, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 24, HistoryAge: time.Hour, HistoryBytes: 1 << 20}}
)

// stream returns a JetStream on a connection of its own.
func stream(t testing.TB, n *testkit.NATSServer) jetstream.JetStream {
	js, err := jetstream.New(n.Connect(t))
	require.NoError(t, err)
	return js
}

func put(t testing.TB, kv jetstream.KeyValue, key, value string) {
	_, err := kv.PutString(t.Context(), key, value)
	require.NoError(t, err)
}
