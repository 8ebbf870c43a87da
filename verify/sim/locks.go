package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// LockServer is a Redis that keeps leases.
type LockServer struct {
	*Server
	// Took is called when a process has taken a lease, Renewed when it has renewed one that had run out, and Ended when it
	// has ended one.
	Took, Renewed, Ended func(p *Process, name, value string)

	values map[string]lock
}

type lock struct {
	value string
	until time.Time
}

func tell(fn func(*Process, string, string), p *Process, name, value string) {
	if fn != nil {
		fn(p, name, value)
	}
}

// NewLockServer makes a lock server that is up and holds no lease.
func (w *World) NewLockServer(name string) *LockServer {
	return &LockServer{Server: w.NewServer(name), values: make(map[string]lock)}
}

// Value returns the value by which a lease is held, "" if it is free.
func (s *LockServer) Value(name string) string { return s.get(name).value }

func (s *LockServer) get(name string) lock {
	l := s.values[name]
	if !l.until.IsZero() && !time.Now().Before(l.until) {
		return lock{}
	}
	return l
}

// For returns the server's client for a process, with the commands that leases need.
func (s *LockServer) For(p *Process) redis.UniversalClient { return &lockClient{s: s, p: p} }

type lockClient struct {
	redis.UniversalClient // nil: other commands are not simulated
	s                     *LockServer
	p                     *Process
}

// Get is redis.Cmdable's.
func (c *lockClient) Get(ctx context.Context, name string) *redis.StringCmd {
	value := ""
	err := c.p.Call(ctx, c.s.Server, "reads "+name, func() { value = c.s.get(name).value })
	if err != nil {
		return redis.NewStringResult("", err) // value may be written later
	}
	if value == "" {
		err = redis.Nil
	}
	return redis.NewStringResult(value, err)
}

// SetNX is redis.Cmdable's.
func (c *lockClient) SetNX(ctx context.Context, name string, value any, ttl time.Duration) *redis.BoolCmd {
	set := false
	err := c.p.Call(ctx, c.s.Server, "takes "+name, func() {
		if set = c.s.get(name).value == ""; set {
			c.s.values[name] = lock{value.(string), time.Now().Add(ttl)}
			tell(c.s.Took, c.p, name, value.(string))
		}
	})
	return redis.NewBoolResult(err == nil && set, err)
}

// EvalSha is redis.Scripter's. No script was ever loaded.
func (c *lockClient) EvalSha(context.Context, string, []string, ...any) *redis.Cmd {
	return redis.NewCmdResult(nil, errors.New("NOSCRIPT No matching script"))
}

// Eval is redis.Scripter's, for redsync's three scripts.
func (c *lockClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	name, value, result := keys[0], args[0].(string), int64(0)
	what, effect := "releases "+name, func() {
		switch c.s.get(name).value {
		case value:
			delete(c.s.values, name)
			tell(c.s.Ended, c.p, name, value)
			result = 1
		case "":
			result = -1
		}
	}
	if strings.Contains(script, "PEXPIRE") {
		ms, err := strconv.Atoi(fmt.Sprint(args[1]))
		if err != nil {
			panic(err)
		}
		what, effect = "renews "+name, func() {
			held := c.s.get(name).value
			if held == value || held == "" && strings.Contains(script, `"NX"`) {
				c.s.values[name] = lock{value, time.Now().Add(time.Duration(ms) * time.Millisecond)}
				if held == "" {
					tell(c.s.Renewed, c.p, name, value)
				}
				result = 1
			}
		}
	}
	err := c.p.Call(ctx, c.s.Server, what, effect)
	if err != nil {
		return redis.NewCmdResult(nil, err)
	}
	return redis.NewCmdResult(result, nil)
}

// PTTL is redis.Cmdable's.
func (c *lockClient) PTTL(ctx context.Context, name string) *redis.DurationCmd {
	left := -2 * time.Nanosecond
	err := c.p.Call(ctx, c.s.Server, "looks at "+name, func() {
		if l := c.s.get(name); l.value != "" {
			left = time.Until(l.until)
		}
	})
	if err != nil {
		return redis.NewDurationResult(0, err)
	}
	return redis.NewDurationResult(left, nil)
}

// Del is redis.Cmdable's.
func (c *lockClient) Del(ctx context.Context, names ...string) *redis.IntCmd {
	err := c.p.Call(ctx, c.s.Server, "deletes "+strings.Join(names, " "), func() {
		for _, name := range names {
			if held := c.s.get(name).value; held != "" {
				tell(c.s.Ended, c.p, name, held)
			}
			delete(c.s.values, name)
		}
	})
	return redis.NewIntResult(int64(len(names)), err)
}
