package faults

import (
	"context"

	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/testkit/redisnodes"
)

// rejoins makes a fault of Redis wait, when there are several, until each master has its replica again and the workers are ready.
func (r *run) rejoins(f fault) fault {
	if !r.shape.replicated() {
		return f
	}
	first := f.recovered
	f.recovered = func(ctx context.Context) error {
		if first != nil {
			if err := first(ctx); err != nil {
				return err
			}
		}
		if err := r.stack.AwaitRedis(ctx); err != nil {
			return err
		}
		if _, err := r.pairs(ctx); err != nil {
			return err
		}
		return r.ready(ctx, everyone)
	}
	return f
}

// pairs waits until each master has its replica.
func (r *run) pairs(ctx context.Context) ([]redisnodes.Pair, error) {
	nodes := r.stack.RedisNodes()
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr)
	}
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	return redisnodes.AwaitPairs(ctx, addrs, len(nodes)/2)
}

// drawMaster returns one of the masters, or the only Redis.
func (r *run) drawMaster(ctx context.Context, s Step) (stack.RedisNode, error) {
	nodes := r.stack.RedisNodes()
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	pairs, err := r.pairs(ctx)
	if err != nil {
		return stack.RedisNode{}, err
	}
	masters := slices.DeleteFunc(nodes, func(n stack.RedisNode) bool {
		return !slices.ContainsFunc(pairs, func(p redisnodes.Pair) bool { return p.Master == n.Addr })
	})
	return masters[r.draw(s).IntN(len(masters))], nil
}

func (r *run) draw(s Step) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(s.At))) }

// nameOf returns the name of the Redis at an address.
func (r *run) nameOf(addr string) string {
	for _, n := range r.stack.RedisNodes() {
		if n.Addr == addr {
			return n.Name
		}
	}
	return addr
}

// killMaster kills a Redis whose replica was cut off before. The replica takes over without the latest writes, and the master
// follows it when it is back.
func (r *run) killMaster(s Step) fault {
	d := &death{run: r}
	return fault{
		inject: func(ctx context.Context) (what string, err error) {
			master, err := r.drawMaster(ctx, s)
			if err != nil {
				return "", err
			}
			if err := d.chooses(ctx, master.Addr); err != nil {
				return "", err
			}
			lost, err := fallBack(ctx, d.pair)
			if err != nil {
				return "", err
			}
			what = fmt.Sprintf("kill -9 %s; %s takes over and lacks its last second (%d bytes)", d.master, r.nameOf(d.pair.Replica), lost)
			return what, d.kill(ctx)
		},
		mend:      d.mend,
		recovered: d.recovered,
	}
}

// death is that of a Redis whose replica takes over.
type death struct {
	run     *run
	master  string // its name
	pair    redisnodes.Pair
	was     *process.Process
	release func()
}

// chooses takes the master at an address, with its replica.
func (d *death) chooses(ctx context.Context, master string) error {
	d.master = d.run.nameOf(master)
	pairs, err := d.run.pairs(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pairs, func(p redisnodes.Pair) bool { return p.Master == master })
	if at < 0 {
		return fmt.Errorf("%s is no longer a master", d.master)
	}
	d.pair = pairs[at]
	return nil
}

// kill returns when the replica has taken over, or when the load is over.
func (d *death) kill(ctx context.Context) (err error) {
	if d.release, err = d.run.stack.Hold(d.master); err != nil {
		return err
	}
	if d.was, err = d.run.stack.Signal(d.master, syscall.SIGKILL); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, d.run.within)
	defer cancel()
	if err = d.pair.AwaitTakeover(within); ctx.Err() != nil {
		return nil
	}
	return err
}

// mend lets the master start again, and the replica follow it. Both may not have been needed.
func (d *death) mend() (err error) {
	if d.pair.Replica != "" {
		ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
		defer cancel()
		err = d.pair.Mend(ctx)
	}
	if d.release != nil {
		d.release()
	}
	return err
}

func (d *death) recovered(ctx context.Context) error {
	return d.run.stack.AwaitReady(ctx, d.master, d.was)
}

// mendTimeout bounds each step that mends a Redis.
const mendTimeout = 30 * time.Second

// fallBack cuts a replica off, and returns when it lacks at least lostWrites of its master's writes: how many bytes.
func fallBack(ctx context.Context, pair redisnodes.Pair) (bytes int64, err error) {
	if err := pair.Cut(ctx); err != nil {
		return 0, err
	}
	for wait := lostWrites; sleep(ctx, wait); wait = askEvery {
		if bytes, err = pair.Lag(ctx); err != nil || bytes > 0 {
			return bytes, err
		}
	}
	return 0, ctx.Err()
}
