package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stack"
)

// takeDown ends some Redis servers in order, so that they lose nothing, and lets them start again later.
func (r *run) takeDown(names ...string) fault {
	var releases []func()
	was := map[string]*process.Process{}
	return fault{
		inject: func(context.Context) (string, error) {
			for _, name := range names {
				release, err := r.stack.Hold(name)
				if err != nil {
					return "", err
				}
				releases = append(releases, release)
				if was[name], err = r.stack.Signal(name, syscall.SIGTERM); err != nil {
					return "", err
				}
			}
			if len(names) == 1 {
				return names[0] + " is down", nil
			}
			return strings.Join(names, " and ") + " are down", nil
		},
		mend: func() error {
			for _, release := range releases {
				release()
			}
			return nil
		},
		recovered: func(ctx context.Context) error {
			for _, name := range names {
				if err := r.stack.AwaitReady(ctx, name, was[name]); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// takeLocksDown takes lock servers down. The stack has recovered when the shards have owners again.
func (r *run) takeLocksDown(names []string) fault {
	f := r.takeDown(names...)
	back := f.recovered
	f.recovered = func(ctx context.Context) error {
		if err := back(ctx); err != nil {
			return err
		}
		return r.ready(ctx, everyone)
	}
	return f
}

// lostWrites is how much a Redis that syncs its file every second may lose when its machine crashes.
const lostWrites = time.Second

// crashRedis kills a Redis and removes the last second of writes from its file. A kill alone loses none of them: the kernel
// still has them. Its replica, if it has one, follows it again and loses them too.
func (r *run) crashRedis(s Step) fault {
	var victim stack.RedisNode
	var was *process.Process
	release := func() {}
	return fault{
		inject: func(ctx context.Context) (what string, err error) {
			if victim, err = r.drawMaster(ctx, s); err != nil {
				return "", err
			}
			file, size, err := aging(ctx, victim)
			if err != nil {
				return "", err
			}
			if release, err = r.stack.Hold(victim.Name); err != nil {
				return "", err
			}
			if was, err = r.stack.Signal(victim.Name, syscall.SIGKILL); err != nil {
				return "", err
			}
			<-was.Ended()
			grown, err := os.Stat(file)
			if err != nil {
				return "", err
			}
			what = fmt.Sprintf("%s crashes and loses its last second (%d bytes)", victim.Name, grown.Size()-size)
			return what, os.Truncate(file, size)
		},
		mend:      func() error { release(); return nil },
		recovered: func(ctx context.Context) error { return r.stack.AwaitReady(ctx, victim.Name, was) },
	}
}

// aging returns the file that a Redis appends to, and how large it was lostWrites ago. It has grown meanwhile.
func aging(ctx context.Context, victim stack.RedisNode) (file string, size int64, err error) {
	if err := keepFile(ctx, victim); err != nil {
		return "", 0, err
	}
	if file, size, err = lastFile(victim.Dir); err != nil {
		return "", 0, err
	}
	return file, size, awaitGrowth(ctx, file, size)
}

// awaitGrowth waits for lostWrites, and until the file has grown.
func awaitGrowth(ctx context.Context, file string, size int64) error {
	for wait := lostWrites; sleep(ctx, wait); wait = askEvery {
		info, err := os.Stat(file)
		if err != nil || info.Size() > size {
			return err
		}
	}
	return ctx.Err()
}

// keepFile keeps a Redis from rewriting its file, until it is started again.
func keepFile(ctx context.Context, node stack.RedisNode) error {
	client := clientOf(node)
	defer client.Close()
	if err := client.ConfigSet(ctx, "auto-aof-rewrite-percentage", "0").Err(); err != nil {
		return err
	}
	for {
		info, err := client.Info(ctx, "persistence").Result()
		if err != nil {
			return err
		}
		if strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return nil
		}
		sleep(ctx, askEvery)
	}
}

func clientOf(node stack.RedisNode) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: node.Addr, MaxRetries: -1})
}

// askEvery is how often to ask Redis whether it rewrites its file, and whether the file has grown.
const askEvery = 10 * time.Millisecond

// lastFile returns the file that Redis appends to, and its size.
func lastFile(dir string) (path string, size int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil {
		return "", 0, err
	}
	if len(files) == 0 {
		return "", 0, errors.New("redis has no append-only file")
	}
	path = slices.MaxFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // numbered
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	return path, info.Size(), nil
}

// flushRedis deletes everything in a Redis: states, positions and locks. In a cluster that is one master.
func (r *run) flushRedis(s Step) fault {
	return fault{inject: func(ctx context.Context) (string, error) {
		victim, err := r.drawMaster(ctx, s)
		if err != nil {
			return "", err
		}
		client := clientOf(victim)
		defer client.Close()
		return "FLUSHALL of " + victim.Name, client.FlushAll(ctx).Err()
	}}
}
