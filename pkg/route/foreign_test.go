package route

import (
	"strings"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A router that starts warns of a stream that answers in place of the log.
func TestRouterTellsOfForeignStreams(t *testing.T) {
	var said testkit.Log
	s := newSystem(t, func(c *Config) { c.Log = said.Logger() })
	require.NotContains(t, said.String(), "acknowledges the app's subjects")
	_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ARCHIVE", Subjects: []string{"app.in.>"}})
	require.NoError(t, err)
	cfg := s.cfg
	cfg.Metrics = prometheus.NewRegistry()
	s.start(t, cfg)
	require.Equal(t, 1, strings.Count(said.String(), "stream=ARCHIVE takes=app.in.>"), said.String())
}
