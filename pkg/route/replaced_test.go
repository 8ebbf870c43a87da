package route

import (
	"encoding/json"
	"testing"

	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// A router whose topology was replaced by another acknowledges nothing more, and says that it must be restarted.
func TestRouterWhoseTopologyWasReplaced(t *testing.T) {
	s := newSystem(t)
	kv, err := s.js.KeyValue(t.Context(), "app_topology")
	require.NoError(t, err)
	other := s.router.watcher.Current()
	other.ID, other.Epochs = "another", []topology.Epoch{{Epoch: 1, Shards: 2, Lanes: 1}}
	b, err := json.Marshal(other)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "topology", b)
	require.NoError(t, err)
	require.ErrorContains(t, <-s.router.Failed(), "another topology")
	require.Error(t, s.router.Ready())
	ack := s.sendPlain(t, plain("key", "x"))
	require.NotNil(t, ack.Error)
	require.Empty(t, s.stored(t))
}
