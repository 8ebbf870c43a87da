package redis

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// together runs the scripts of many callers in few pipelines: what is asked for while one is under way goes with the
// next. For Redis and for us a call's cost lies mostly in the system calls, and a pipeline shares them; without load
// nothing waits.
//
// There is no goroutine of its own: one of those who wait sends for all, and then hands over to the next.
type together struct {
	rdb redis.UniversalClient

	mu       sync.Mutex // guards what follows
	waiting  []*call    // bounded by the callers: each waits for its call
	underWay bool
}

// call is a script to run.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	cmd    *redis.Cmd
	turn   chan bool // true: send for all that wait; false: cmd has its result
}

// pipelineTime bounds a pipeline, with all that the client tries again: it is not one caller's to cancel.
const pipelineTime = 5 * time.Second

// run runs a script and returns its result, within twice pipelineTime.
func (t *together) run(script *redis.Script, keys []string, args []any) *redis.Cmd {
	c := &call{script: script, keys: keys, args: args, turn: make(chan bool, 1)}
	t.mu.Lock()
	t.waiting = append(t.waiting, c)
	lead := !t.underWay
	t.underWay = true
	t.mu.Unlock()
	if lead || <-c.turn {
		t.send(c)
	}
	if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") { // a Redis that has started anew
		ctx, cancel := context.WithTimeout(context.Background(), pipelineTime)
		defer cancel()
		return script.Eval(ctx, t.rdb, keys, args...)
	}
	return c.cmd
}

// yields is how often a pipeline lets others run before it leaves. What reached the worker in one read from NATS goes through
// two goroutines of a shard until it is to be committed, each shard's at the same time.
const yields = 4

// send runs all that wait, of which mine is one.
func (t *together) send(mine *call) {
	for range yields {
		runtime.Gosched()
	}
	t.mu.Lock()
	calls := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), pipelineTime)
	defer cancel()
	pipe := t.rdb.Pipeline()
	for _, c := range calls {
		c.cmd = c.script.EvalSha(ctx, pipe, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, c := range calls {
		if c != mine {
			c.turn <- false
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.underWay = len(t.waiting) > 0; t.underWay {
		t.waiting[0].turn <- true
	}
}
