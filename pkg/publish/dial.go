package publish

import (
	"time"

	"github.com/nats-io/nats.go"
)

// The limits of Dial. A connection leaves a server that hangs after 1.5 to 2.25 s without an answer to a ping. Pings wait while
// a write waits, so that writes that begin to wait just then may put that off by twice writeTimeout: 4.25 s at most.
const (
	pingInterval  = 750 * time.Millisecond
	maxPings      = 2
	writeTimeout  = time.Second
	reconnectWait = 250 * time.Millisecond
)

// Dial connects to NATS, at one or more URLs separated by commas, so that a server that hangs does not hold up a publisher:
// if there is another server, events wait less than 5 s. (With nats.go's defaults they wait until the server goes on, or for
// six minutes.) The connection reconnects for ever. It buffers nothing while it is down: a write then fails at once, so that
// a publisher knows that its frame has not left. The given options come after those of Dial. Over a link that carries less
// than some 2 Mbit/s, or is silent for more than a second now and then, raise nats.FlusherTimeout and nats.PingInterval.
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
