package route

import (
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A router that hangs keeps its place in the queue group, and NATS goes on to hand it frames. Publishers notice, and go
// around it: after its first silence none of theirs goes to the group any more.
func TestFramesGoAroundARouterThatHangs(t *testing.T) {
	s := newSystem(t)
	link := s.Link(t)
	hung, err := New(s.ConnectOver(t, link, nats.ReconnectBufSize(-1)), s.linked())
	require.NoError(t, err)
	require.NoError(t, hung.Start(t.Context()))

	sent, err := s.Conn.SubscribeSync(topology.FrameSubject("app") + ".>")
	require.NoError(t, err)
	toGroup, err := s.Conn.SubscribeSync(topology.FrameSubject("app"))
	require.NoError(t, err)
	require.NoError(t, s.Conn.Flush())

	p := startPublisher(t, connect(t, s.NATSServer))
	send := func(n int) {
		for i := range n {
			require.NoError(t, p.Send(t.Context(), fmt.Sprint("key-", i%7), []byte("data")))
		}
	}
	send(50) // half of them by each
	link.Stall()
	defer link.Resume()
	for tries := 0; ; tries++ { // until one has met the silence
		require.Less(t, tries, 50, "nothing goes around it")
		send(1)
		if n, _, err := sent.Pending(); err == nil && n > 0 {
			break
		}
	}
	direct, err := sent.NextMsg(patience)
	require.NoError(t, err)
	require.Equal(t, topology.RouterSubject("app", s.router.id), direct.Subject)

	drain := func() (frames int) {
		for {
			m, err := toGroup.NextMsg(time.Millisecond)
			if err != nil {
				return frames
			}
			if len(m.Data) > 0 {
				frames++
			}
		}
	}
	drain()
	send(100)
	require.NoError(t, s.Conn.Flush())
	require.Zero(t, drain())
	link.Resume()
	require.NoError(t, hung.Stop(t.Context()))
	send(10)
}
