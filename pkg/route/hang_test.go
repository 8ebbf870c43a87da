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
	drain := func(sub *nats.Subscription) (frames map[string]int) { // by subject
		require.NoError(t, s.Conn.Flush())
		frames = make(map[string]int)
		for {
			m, err := sub.NextMsg(time.Millisecond)
			if err != nil {
				return frames
			}
			if len(m.Data) > 0 {
				frames[m.Subject]++
			}
		}
	}
	send(50) // half of them by each
	link.Stall()
	defer link.Resume()
	for tries := 0; drain(sent)[topology.RouterSubject("app", s.router.id)] == 0; tries++ { // until one has met the silence
		require.Less(t, tries, 50, "nothing goes around it")
		send(1)
	}
	drain(toGroup)
	send(100)
	astray := drain(toGroup)[topology.FrameSubject("app")] + drain(sent)[topology.RouterSubject("app", hung.id)]
	require.Less(t, astray, 20, "if this machine is busy for half a second that is a silence too, and the group is asked again")
	link.Resume()
	require.NoError(t, hung.Stop(t.Context()))
	send(10)
}
