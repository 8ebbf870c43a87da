package topology

import (
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestIsLog(t *testing.T) {
	for _, name := range []string{StreamName("app", 1, 0), StreamName("app", 12, 34)} {
		require.True(t, IsLog("app", name), name)
	}
	for _, name := range []string{"", "ARCHIVE", "APP", "APP_1", "APP_1_0_1", "APP_0_0", "APP_01_0", "APP_1_00", "APP_1_x", "app_1_0", "APP2_1_0", "KV_app_topology", StreamName("app-1", 1, 0)} {
		require.False(t, IsLog("app", name), name)
	}
	require.False(t, IsLog("app-1", StreamName("app", 1, 0)))
}

func TestForeignStreams(t *testing.T) {
	srv := testkit.NATS(t)
	js, err := jetstream.New(srv.Conn)
	require.NoError(t, err)
	create := func(cfg jetstream.StreamConfig) {
		_, err := js.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
	create(jetstream.StreamConfig{Name: "APP_1_0", Subjects: []string{"app.work.1.0.*"}})
	create(jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.in.>"}})
	found, err := ForeignStreams(t.Context(), js, "app")
	require.NoError(t, err)
	require.Empty(t, found)
	create(jetstream.StreamConfig{Name: "ARCHIVE", Subjects: []string{"app.in.event.>"}})
	create(jetstream.StreamConfig{Name: "EARLY", Subjects: []string{"x", "app.*.2.>"}})
	found, err = ForeignStreams(t.Context(), js, "app")
	require.NoError(t, err)
	require.ElementsMatch(t, []ForeignStream{{"ARCHIVE", "app.in.>"}, {"EARLY", "app.in.>"}, {"EARLY", "app.work.>"}}, found)
}
