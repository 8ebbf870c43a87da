package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// pipeline runs the scripts of many callers on one server in few round trips: calls that arrive while one is in flight leave with
// the next. For Redis and for us a call's cost lies mostly in the system calls, and a pipeline shares them; without load no call
// waits.
//
// One of the waiting callers sends for all, and then hands over to the next: a goroutine of its own would have to be woken for
// each call, which costs as much as a fifth of the call. But a caller that sends cannot leave when its context ends: the client
// notices no cancellation while it waits for an answer. So it sends for promptTime at most. Then, until Redis is prompt again,
// goroutines send. Each ends with its round trip, at the latest after roundTripTime or when the client is closed.
type pipeline struct {
	mu      sync.Mutex // guards what follows
	rdb     redis.UniversalClient
	waiting []*call // bounded by the callers: each waits for its call
	sending bool
	slow    bool // the last round trip was not prompt
}

// call is a script to run.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	cmd    *redis.Cmd
	turn   chan bool // cap 1; true: send all waiting calls; false: cmd has its result
}

const (
	promptTime    = time.Second     // bounds a round trip that a caller makes, and so how long it ignores its context
	roundTripTime = 5 * time.Second // bounds one that a goroutine makes, with the client's retries
)

// lookEvery is how often a call of a slow server looks whether another has taken over.
const lookEvery = 250 * time.Millisecond

// After these errors the call may have happened: make it again.
var (
	errNotPrompt = fmt.Errorf("no answer from Redis within %s", promptTime)
	errTakenOver = errors.New("another Redis node has taken over")
)

// run runs a script on the server whose client rdb is. When ctx ends it returns without the result, and the call may happen
// nevertheless, then or later. So it does, with errTakenOver, if the server is slow and takenOver, which is called from time to
// time unless it is nil, returns true. It returns errNotPrompt at most once in a row.
func (p *pipeline) run(
	ctx context.Context, rdb redis.UniversalClient, script *redis.Script, keys []string, args []any, takenOver func() bool,
) *redis.Cmd {
	c := &call{script: script, keys: keys, args: args, turn: make(chan bool, 1)}
	p.mu.Lock()
	slow := p.slow
	p.rdb = rdb
	p.waiting = append(p.waiting, c)
	if !p.sending {
		p.handOver()
	}
	p.mu.Unlock()
	var look <-chan time.Time
	if slow && takenOver != nil {
		ticks := time.NewTicker(lookEvery)
		defer ticks.Stop()
		look = ticks.C
	}
	for {
		select {
		case lead := <-c.turn:
			if lead {
				p.send(c, promptTime)
			}
			return c.cmd
		case <-ctx.Done():
			p.leave(c)
			return abandoned(ctx)
		case <-look:
			if takenOver() {
				p.leave(c)
				return failed(ctx, errTakenOver)
			}
		}
	}
}

// handOver makes the next caller send, or a goroutine, if there are calls. mu is held.
func (p *pipeline) handOver() {
	p.sending = len(p.waiting) > 0
	switch {
	case !p.sending:
	case p.slow:
		go p.send(nil, roundTripTime)
	default:
		p.waiting[0].turn <- true
	}
}

// leave takes back a call that nobody waits for any more. If its caller was to send, another one does.
func (p *pipeline) leave(c *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(other *call) bool { return other == c })
	select {
	case lead := <-c.turn:
		if lead {
			p.handOver()
		}
	default:
	}
}

// abandoned is the result of a call whose context ended before its result came.
func abandoned(ctx context.Context) *redis.Cmd {
	return failed(ctx, fmt.Errorf("no answer from Redis yet: %w", context.Cause(ctx)))
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

// yields is how often a pipeline lets other goroutines run before it leaves. Messages that reached the worker in one read from
// NATS pass through two goroutines of their shard before the commit, for each shard at the same time.
const yields = 4

// send runs all waiting calls, of which mine is one unless it is nil, and hands over.
func (p *pipeline) send(mine *call, limit time.Duration) {
	for range yields {
		runtime.Gosched()
	}
	p.mu.Lock()
	rdb, calls := p.rdb, p.waiting
	p.waiting = nil
	p.mu.Unlock()
	began := time.Now()
	roundTrip(rdb, calls, limit)
	for _, c := range calls {
		if c != mine {
			c.turn <- false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = time.Since(began) >= promptTime
	p.handOver()
}

func roundTrip(rdb redis.UniversalClient, calls []*call, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	batch := rdb.Pipeline()
	for _, c := range calls {
		c.cmd = c.script.EvalSha(ctx, batch, c.keys, c.args...)
	}
	_, _ = batch.Exec(ctx) // each command has its own error
	if limit > promptTime || ctx.Err() == nil {
		return
	}
	for _, c := range calls {
		if err := c.cmd.Err(); err != nil && !isReply(err) {
			c.cmd.SetErr(errNotPrompt)
		}
	}
}

// isReply tells whether an error is Redis's reply. Else it is not known whether the call happened.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
