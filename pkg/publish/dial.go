package publish

import (
	"time"

	"github.com/nats-io/nats.go"
)

// The limits of Dial. A server that hangs is left after 2.25 s without an answer to a ping. While a write waits no ping is
// looked at, so a server that takes nothing more is left after 2 s more: in all 4.25 s at most.
const (
	pingInterval  = 750 * time.Millisecond
	maxPings      = 2
	writeTimeout  = 2 * time.Second
	reconnectWait = 250 * time.Millisecond
)

// Dial connects to NATS, at one or more URLs divided by commas, so that a server that hangs does not hold up a publisher:
// with another server to go to, its events wait less than 5 s. (With nats.go's defaults they wait until the server goes on,
// or for six minutes.) It reconnects for ever, and keeps nothing for a later connection: what is sent while there is none
// fails at once, and a publisher knows. Options given here come after those of Dial.
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
