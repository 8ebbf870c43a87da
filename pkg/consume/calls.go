package consume

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// errTimeout ends the context of an attempt that has run for longer than Config.HandlerTimeout.
	errTimeout = errors.New("the handler's time is up")
	// errHandedOver ends the contexts of a shard's attempts when the shard is handed over.
	errHandedOver = errors.New("the shard is handed over")
)

// giveUpTime is how long after the end of its context an attempt may still run until it is given up.
const giveUpTime = time.Second

// calls are what the attempts of one claim of a shard have in common.
type calls struct {
	shard   int
	handler Handler
	timeout time.Duration
	place   *claimant
	ended   chan *call    // each once: with its result, or given up
	gone    chan struct{} // closed: nobody takes ended any more
	givenUp *givenUp
	running *sync.WaitGroup
}

// watch bounds a call's time.
func (cs *calls) watch(c *call, timeout time.Duration) {
	c.timers[0] = time.AfterFunc(timeout, func() { c.cancel(errTimeout) })
	c.timers[1] = time.AfterFunc(timeout+giveUpTime, func() {
		if c.over.CompareAndSwap(false, true) {
			cs.givenUp.add(cs.shard, c.key)
			c.result = result{err: errGivenUp}
			cs.end(c)
		}
	})
}

// extend gives a call that goes on to another event all of its time again.
func (cs *calls) extend(c *call) {
	c.timers[0].Reset(cs.timeout)
	c.timers[1].Reset(cs.timeout + giveUpTime)
}

// errGivenUp is the failure of an attempt that goes on although its context has ended. Go cannot stop it.
var errGivenUp = errors.New("the handler does not return although its context has ended")

// start starts a call, which has a place already. run runs the handler.
func (cs *calls) start(ctx context.Context, c *call, run func(context.Context) result) {
	c.began = time.Now()
	ctx, c.cancel = context.WithCancelCause(ctx)
	cs.watch(c, cs.timeout)
	cs.running.Go(func() { cs.returned(c, run(ctx), context.Cause(ctx)) })
}

// returned takes a call's result, when its handler has returned.
func (cs *calls) returned(c *call, res result, cause error) {
	c.timers[0].Stop()
	c.timers[1].Stop()
	c.cancel(nil)
	if !c.over.CompareAndSwap(false, true) {
		cs.givenUp.remove(cs.shard, c.key)
		return
	}
	if res.err != nil && errors.Is(cause, errTimeout) {
		res.err = errors.Join(errTimeout, res.err)
	}
	c.result = res
	cs.end(c)
}

func (cs *calls) end(c *call) {
	cs.place.put()
	select {
	case cs.ended <- c:
	case <-cs.gone:
	}
}

// givenUp are the handlers of a worker that were given up and still run.
type givenUp struct {
	max  int
	many func(n int) // is told when there are more than max

	mu      sync.Mutex // guards what follows
	running map[keyOfShard]int
	n       int
	wake    map[int]chan<- struct{} // by shard: receives after one of its handlers has returned
}

type keyOfShard struct {
	shard int
	key   string
}

func (g *givenUp) add(shard int, key string) {
	g.mu.Lock()
	g.running[keyOfShard{shard, key}]++
	g.n++
	n := g.n
	g.mu.Unlock()
	if n > g.max {
		g.many(n)
	}
}

func (g *givenUp) remove(shard int, key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := keyOfShard{shard, key}
	g.n--
	if g.running[k]--; g.running[k] == 0 {
		delete(g.running, k)
	}
	select {
	case g.wake[shard] <- struct{}{}:
	default:
	}
}

// watch returns a channel that receives after a handler of a shard that was given up has returned.
func (g *givenUp) watch(shard int) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan struct{}, 1)
	g.wake[shard] = c
	return c
}

// keys are the keys of a shard of which a handler was given up and still runs.
func (g *givenUp) keys(shard int) (out []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k := range g.running {
		if k.shard == shard {
			out = append(out, k.key)
		}
	}
	return out
}

// has tells whether a handler of the key was given up and still runs.
func (g *givenUp) has(shard int, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running[keyOfShard{shard, key}] > 0
}

// count is how many handlers were given up and still run.
func (g *givenUp) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
