package drive

import (
	"context"
	"sync"
	"time"

	"example.com/lockstep/pkg/load/internal/measure"
)

// maxOwners is how many changes of ownership are kept, the first ones.
const maxOwners = 4096

// owners notes which shards change hands while a load runs.
type owners struct {
	stopping func()
	once     sync.Once

	mu      sync.Mutex // guards changes
	changes []change
}

type change struct {
	at     time.Time
	shard  int
	worker string
}

func watchOwners(ctx context.Context, sys System) (*owners, error) {
	o := &owners{}
	var err error
	o.stopping, err = sys.Owners(ctx, func(shard int, worker string) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.changes) < maxOwners {
			o.changes = append(o.changes, change{time.Now(), shard, worker})
		}
	})
	return o, err
}

func (o *owners) stop() { o.once.Do(o.stopping) }

// after returns the changes after a moment.
func (o *owners) after(start time.Time) (out []measure.Owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.changes {
		if at := c.at.Sub(start); at >= 0 {
			out = append(out, measure.Owner{At: at, Shard: c.shard, Name: c.worker})
		}
	}
	return out
}
