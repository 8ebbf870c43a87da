package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// roamPatience is how long nothing may come of a worker's shards, for want of an answer from NATS, before it tries another
// server of a cluster.
const roamPatience = 2 * time.Second

// errUnanswered means that the log or a bucket gave no answer. The server that the connection leads to may be cut off from
// its cluster: it stands, and is of no use.
var errUnanswered = errors.New("NATS does not answer")

// unanswered marks an error of a question to NATS if it is that there was no answer.
func unanswered(err error) error {
	for _, no := range []error{nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, context.DeadlineExceeded} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", errUnanswered, err)
		}
	}
	return err
}

// roam takes an answer's absence, from one of the shards or from the group. If it goes on so, and nothing arrives for any
// other shard, the worker tries another server: meanwhile it would take shards that others could serve.
func (w *Worker) roam() {
	servers := len(w.nc.Servers()) // who has the connection's lock may be writing
	w.mu.Lock()
	move := w.nc.IsConnected() && w.outage.Continues(time.Now(), roamPatience, servers)
	w.mu.Unlock()
	if move {
		w.cfg.Log.Warn("the log cannot be reached over this connection to NATS; trying another server")
		_ = w.nc.ForceReconnect() // fails only if the connection is closed
	}
}

// arrived takes the log's answer to one of the shards, or a message.
func (w *Worker) arrived() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outage.End()
}
