package group

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// deafFor bounds for how long members may miss a change: far above the 1.2 s that their watches wait, far below the 10 s and
// more of the client library's.
const deafFor = 5 * time.Second

// Without the consumers of their watches, members hear of nothing: neither that one has joined, nor that one has left.
func TestMembersWhoseConsumersAreGone(t *testing.T) {
	c := newCluster(t, 16)
	members := c.start(2)
	js, err := jetstream.New(members[0].nc)
	require.NoError(t, err)
	deafen := func() time.Time {
		for _, bucket := range []string{"members", "claims"} {
			s, err := js.Stream(t.Context(), "KV_app_"+bucket)
			require.NoError(t, err)
			var names []string
			eventually(t, func() bool {
				names = nil
				list := s.ConsumerNames(t.Context())
				for name := range list.Name() {
					names = append(names, name)
				}
				return list.Err() == nil && len(names) == len(members)
			}, "all watch")
			for _, name := range names {
				require.NoError(t, s.DeleteConsumer(t.Context(), name))
			}
		}
		return time.Now()
	}
	begun := deafen()
	third := c.member()
	require.NoError(t, third.Start(t.Context()))
	c.settle(members[0], members[1], third)
	t.Logf("settled %s after a member joined", time.Since(begun).Round(time.Millisecond))
	require.Less(t, time.Since(begun), deafFor)

	members = append(members, third)
	begun = deafen()
	members[1].nc.Close() // it dies
	c.settle(members[0], third)
	t.Logf("settled %s after a member died", time.Since(begun).Round(time.Millisecond))
	require.Less(t, time.Since(begun), deafFor)
}
