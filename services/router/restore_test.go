package main

import (
	"log/slog"
	"testing"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A router whose topology was deleted refuses to make another one, and names the command that restores it.
func TestRestoreTopologyCommand(t *testing.T) {
	n := testkit.NATS(t)
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	initial := topology.Initial{Shards: 4, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}}
	top, kv, err := topology.Open(t.Context(), js, appname.Default, initial, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	at := "--nats=" + n.URL
	requireRefused(t, 1, "has its topology "+top.ID+": nothing was changed", "restore-topology", at)
	require.NoError(t, kv.Delete(t.Context(), "topology"))
	requireRefused(t, 1, "write the entry again: router restore-topology --app="+appname.Default, at)
	out, err := router(t, "restore-topology", at).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "topology "+top.ID+" of app "+appname.Default+" is restored: epoch 1, 4 shards, 1 lanes")
	restored, err := topology.Load(t.Context(), js, appname.Default)
	require.NoError(t, err)
	require.Equal(t, top, restored)
}
