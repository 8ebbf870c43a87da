package consume

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// spans keeps, for each commit, when the attempts began that ended with it.
type spans struct {
	mu    sync.Mutex
	begun []time.Time
	of    []time.Duration // from the first to the last of them
}

func (c *spans) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = append(c.begun, time.Now())
}

func (c *spans) committed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.begun) > 0 {
		c.of = append(c.of, slices.MaxFunc(c.begun, time.Time.Compare).Sub(slices.MinFunc(c.begun, time.Time.Compare)))
	}
	c.begun = nil
}

// watched is a store that tells of commits.
type watched struct {
	store.Store
	*spans
}

func (w watched) Commit(ctx context.Context, c *store.Commit) error {
	defer w.committed()
	return w.Store.Commit(ctx, c)
}

// A worker that is killed repeats only attempts that began within RoundTime: then those under way end, and a commit follows.
func TestUncommittedAttemptsBeganWithinRoundTime(t *testing.T) {
	const keys = 100
	for _, concurrency := range []int{1, 3} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			r := newRig(t, 1)
			c := new(spans)
			w := r.worker(func(cfg *Config) {
				cfg.Concurrency = concurrency
				open := cfg.Store
				cfg.Store = func(id string) store.Store { return watched{open(id), c} }
				cfg.Handler = collect(func(Event) error {
					c.begins()
					time.Sleep(20 * time.Millisecond) // this handler takes its time
					return nil
				})
			})
			var names []string
			for i := range keys {
				names = append(names, fmt.Sprint("k", i))
			}
			r.send(0, names...)
			began := time.Now()
			require.NoError(t, w.Start(background))
			r.applied()
			require.Greater(t, time.Since(began), 4*DefaultRoundTime, "it takes some rounds")
			c.mu.Lock()
			defer c.mu.Unlock()
			require.Greater(t, len(c.of), 3)
			slices.Sort(c.of)
			require.Less(t, c.of[len(c.of)/2], 2*DefaultRoundTime, "as a rule")
		})
	}
}
