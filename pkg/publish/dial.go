package publish

import (
	"time"

	"github.com/nats-io/nats.go"
)

// The limits of Dial. A server that hangs is left after 1.5 to 2.25 s without an answer to a ping. While a write waits pings
// wait too, and so one that begins to wait just then may put it off by as long as two writes may take: 4.25 s at most.
const (
	pingInterval  = 750 * time.Millisecond
	maxPings      = 2
	writeTimeout  = time.Second
	reconnectWait = 250 * time.Millisecond
)

// Dial connects to NATS, at one or more URLs divided by commas, so that a server that hangs does not hold up a publisher:
// with another server to go to, its events wait less than 5 s. (With nats.go's defaults they wait until the server goes on,
// or for six minutes.) It reconnects for ever, and keeps nothing for a later connection: what is sent while there is none
// fails at once, and a publisher knows. Options given here come after those of Dial: over a link that carries less than some
// 2 Mbit/s, or is silent for longer than a second now and then, raise nats.FlusherTimeout and nats.PingInterval.
func Dial(servers string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(servers, append([]nats.Option{
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectOnFlusherError(),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
	}, options...)...)
}
