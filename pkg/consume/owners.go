package consume

import (
	"context"
	"fmt"
	"sync"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
)

// request is what an operator asks of a shard's owner, beside the log: to raise the caps, or to drop events.
type request struct {
	ctx   context.Context
	raise topology.Caps  // unless drop is set
	drop  *frame.Command // nil: none
	done  chan struct{}  // closed when it is answered

	caps topology.Caps // the answer: those in force
	err  error
}

// owners are the owners of a worker's shards that hold a claim, for requests.
type owners struct {
	mu   sync.Mutex // guards what follows
	asks map[int]chan *request
}

// join returns the channel on which a shard's owner takes requests, until it leaves.
func (os *owners) join(shard int) chan *request {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.asks == nil {
		os.asks = make(map[int]chan *request)
	}
	asks := make(chan *request)
	os.asks[shard] = asks
	return asks
}

func (os *owners) leave(shard int) {
	os.mu.Lock()
	defer os.mu.Unlock()
	delete(os.asks, shard)
}

// ask has a shard's owner answer a request between two passes.
func (os *owners) ask(shard int, r *request) error {
	os.mu.Lock()
	asks := os.asks[shard]
	os.mu.Unlock()
	if asks == nil {
		return fmt.Errorf("shard %d: %w", shard, query.ErrNotOwner)
	}
	select {
	case asks <- r:
		<-r.done
		return r.err
	case <-r.ctx.Done():
		return fmt.Errorf("shard %d: its owner is busy: %w", shard, context.Cause(r.ctx))
	}
}
