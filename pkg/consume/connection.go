package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/internal/failover"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// outagePatience is how long none of a worker's shards may get an answer from NATS before the worker tries another server of
// a cluster.
const outagePatience = 2 * time.Second

// errInterrupted means that messages may have changed or been missed.
var errInterrupted = errors.New("the connection to the log was interrupted")

// errUnanswered means that the log or a bucket gave no answer. The server at the other end of the connection may be cut off
// from its cluster: it is up, and of no use.
var errUnanswered = errors.New("NATS does not answer")

// noAnswer marks an error of a question to NATS if it is that there was no answer.
func noAnswer(err error) error {
	for _, no := range []error{nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, context.DeadlineExceeded} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", errUnanswered, err)
		}
	}
	return err
}

// outages moves a worker to another server of a cluster when none of its shards gets an answer: meanwhile it would keep
// shards that others could serve.
type outages struct {
	nc  *nats.Conn
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	outage failover.Outage
}

// unanswered takes an answer's absence, from one of the shards or from the group.
func (o *outages) unanswered() {
	servers := len(o.nc.Servers()) // waits for the connection's lock, which is held while something is written
	o.mu.Lock()
	move := o.nc.IsConnected() && o.outage.Continues(time.Now(), outagePatience, servers)
	o.mu.Unlock()
	if move {
		o.log.Warn("the log cannot be reached over this connection to NATS; trying another server")
		_ = o.nc.ForceReconnect() // fails only if the connection is closed
	}
}

// answered takes the log's answer to one of the shards, or a message.
func (o *outages) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outage.End()
}

// unbroken makes a context that ends, with errInterrupted as its cause, when the connection is lost: a question that was sent
// over it may never be answered. The function it returns must be called; twice does no harm.
func unbroken(ctx context.Context, nc *nats.Conn) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	lost, done := nc.StatusChanged(nats.RECONNECTING, nats.CLOSED), make(chan struct{})
	go func() {
		defer close(done)
		if _, is := <-lost; is {
			cancel(errInterrupted)
		}
	}()
	return ctx, sync.OnceFunc(func() {
		nc.RemoveStatusListener(lost)
		<-done
		cancel(context.Canceled)
	})
}
