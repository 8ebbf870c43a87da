package group

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// The bucket may lose entries without a trace, when NATS loses its latest writes: after the reconnect members that are not
// there any more are gone, and who is gone by mistake joins again.
func TestBucketThatLostEntries(t *testing.T) {
	c := newCluster(t, 8)
	members := []*member{c.member(), c.member()}
	for _, m := range members {
		m.steadyBefore = time.Hour // nobody is judged
		require.NoError(t, m.Start(t.Context()))
	}
	c.settle(members...)
	js, err := jetstream.New(members[0].nc)
	require.NoError(t, err)
	kv, err := js.KeyValue(t.Context(), "app_members")
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "ghost", []byte("{}"))
	require.NoError(t, err)
	eventually(t, func() bool { return len(members[0].Members()) == 3 && len(members[1].Members()) == 3 }, "ghost joins")
	stream, err := js.Stream(t.Context(), "KV_app_members")
	require.NoError(t, err)
	for _, id := range []string{"ghost", members[0].ID()} {
		require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.app_members."+id)))
	}
	for _, m := range members {
		require.NoError(t, m.nc.ForceReconnect())
	}
	c.settle(members...)
}
