package redis

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// pipeline runs the scripts of many callers in few round trips: calls that arrive while one is in flight leave with the next.
// For Redis and for us a call's cost lies mostly in the system calls, and a pipeline shares them; without load no call waits.
//
// It has no goroutine of its own: one of the waiting callers sends for all, and then hands over to the next.
type pipeline struct {
	rdb redis.UniversalClient

	mu       sync.Mutex // guards what follows
	waiting  []*call    // bounded by the callers: each waits for its call
	inFlight bool
}

// call is a script to run.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	cmd    *redis.Cmd
	turn   chan bool // true: send all waiting calls; false: cmd has its result
}

// roundTripTime bounds a round trip with the client's retries. No single caller may cancel it.
const roundTripTime = 5 * time.Second

// run runs a script and returns its result, within twice roundTripTime.
func (p *pipeline) run(script *redis.Script, keys []string, args []any) *redis.Cmd {
	c := &call{script: script, keys: keys, args: args, turn: make(chan bool, 1)}
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	lead := !p.inFlight
	p.inFlight = true
	p.mu.Unlock()
	if lead || <-c.turn {
		p.send(c)
	}
	if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") { // Redis was restarted
		ctx, cancel := context.WithTimeout(context.Background(), roundTripTime)
		defer cancel()
		return script.Eval(ctx, p.rdb, keys, args...)
	}
	return c.cmd
}

// yields is how often a pipeline lets other goroutines run before it leaves. Messages that reached the worker in one read from
// NATS pass through two goroutines of their shard before the commit, for each shard at the same time.
const yields = 4

// send runs all waiting calls, of which mine is one.
func (p *pipeline) send(mine *call) {
	for range yields {
		runtime.Gosched()
	}
	p.mu.Lock()
	calls := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), roundTripTime)
	defer cancel()
	batch := p.rdb.Pipeline()
	for _, c := range calls {
		c.cmd = c.script.EvalSha(ctx, batch, c.keys, c.args...)
	}
	_, _ = batch.Exec(ctx) // each command has its own error
	for _, c := range calls {
		if c != mine {
			c.turn <- false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inFlight = len(p.waiting) > 0; p.inFlight {
		p.waiting[0].turn <- true
	}
}
