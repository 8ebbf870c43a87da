package mismatch

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
)

const (
	app    = appname.Default
	shards = 4
	// look is how often a wait checks its condition; answers is how long the workers may take to answer.
	look, answers = 20 * time.Millisecond, 100 * time.Millisecond
)

var workers = []string{"worker-1", "worker-2"}

// rig is a stack of one router and two workers, with NATS and Redis as processes.
type rig struct {
	*stack.Stack
	t       *testing.T
	bin     string // has the programs as they are
	dir     string
	starter *process.Starter
	nc      *nats.Conn
	js      jetstream.JetStream
	rdb     *redis.Client
	query   *query.Client
}

// up starts a stack with the services of one directory and the other programs in bin. It stops when the test ends.
func up(t *testing.T, bin, services string, routerFlags ...string) *rig {
	t.Helper()
	return upIn(t, filepath.Join(t.TempDir(), "stack"), bin, services, routerFlags...)
}

// upIn is up in a directory.
func upIn(t *testing.T, dir, bin, services string, routerFlags ...string) *rig {
	t.Helper()
	r := &rig{t: t, bin: bin, dir: dir, starter: process.NewStarter()}
	t.Cleanup(r.starter.Close)
	var err error
	r.Stack, err = stack.New(stack.Config{
		Dir: r.dir, Bin: services, Workers: len(workers), Routers: 1, Shards: shards, NATSPort: stack.PortAny, NATSProgram: filepath.Join(bin, "local"),
		RouterFlags: routerFlags, WorkerFlags: []string{"--slow-time=10m", "--handler-timeout=20m"}, // a gate holds up its whole shard
		ReadyTimeout: programs.Patience, Say: func(line string) { t.Log(line) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
	require.NoError(t, r.Start(t.Context()))
	r.nc, err = nats.Connect(r.File().NATS, nats.MaxReconnects(-1), nats.ReconnectWait(look))
	require.NoError(t, err)
	t.Cleanup(r.nc.Close)
	r.js, err = jetstream.New(r.nc)
	require.NoError(t, err)
	r.rdb = redis.NewClient(&redis.Options{Addr: r.File().Redis})
	t.Cleanup(func() { r.rdb.Close() })
	r.query = query.NewClient(r.nc, app)
	return r
}

// late is a value that is read when a wait has failed.
type late func() any

func (l late) String() string { return fmt.Sprint(l()) }

// eventually waits until the condition holds.
func (r *rig) eventually(happened func() bool, format string, args ...any) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), programs.Patience)
	defer cancel()
	for !happened() {
		select {
		case <-time.After(look):
		case <-ctx.Done():
			require.FailNow(r.t, fmt.Sprintf(format, args...), "%s", r.states())
		}
	}
}

// load runs a load that must pass.
func (r *rig) load(flags ...string) programs.Report {
	r.t.Helper()
	return programs.StartLoad(r.t, r.bin, r.dir, flags...).Passed()
}

// someLoad is a load that reaches every shard many times.
func (r *rig) someLoad() { r.load("--rate=4000", "--events=2000", "--keys=100") }

// send sends a plain event and returns its sequence in the log. Its id is its key, so a repeat is stored once.
func (r *rig) send(key, data string) (seq uint64, err error) {
	r.t.Helper()
	event := nats.NewMsg(topology.EventSubject(app) + "." + key)
	event.Header.Set(jetstream.MsgIDHeader, key)
	event.Data = []byte(data)
	m, err := r.nc.RequestMsg(event, 10*time.Second)
	if err != nil {
		return 0, err
	}
	var a struct {
		Seq   uint64
		Error *struct {
			Code        int
			Description string
		}
	}
	require.NoError(r.t, json.Unmarshal(m.Data, &a))
	if a.Error != nil {
		return 0, fmt.Errorf("%d: %s", a.Error.Code, a.Error.Description)
	}
	return a.Seq, nil
}

// sendEach sends a plain event to each of n keys and returns the keys. It repeats what a router refuses, as one does that
// has just lost its permit or the log.
func (r *rig) sendEach(name string, n int) (keys []string) {
	r.t.Helper()
	for i := range n {
		key := fmt.Sprintf("%s-%d", name, i)
		var err error
		r.eventually(func() bool { _, err = r.send(key, "1"); return err == nil }, "no router takes events: %v", late(func() any { return err }))
		keys = append(keys, key)
	}
	return keys
}

// requireCounts waits until each key has so many events applied, and fails if one has more.
func (r *rig) requireCounts(keys []string, events uint64) {
	r.t.Helper()
	var last []uint64
	r.eventually(func() bool {
		last = r.counts(keys)
		for _, n := range last {
			require.LessOrEqual(r.t, n, events, "doubled: %v", last)
			if n < events {
				return false
			}
		}
		return true
	}, "not applied: %v", late(func() any { return last }))
}

// counts returns how many events of each key are applied, by the workers' answers, which come from the store.
func (r *rig) counts(keys []string) (counts []uint64) {
	r.t.Helper()
	var states []query.State
	r.eventually(func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		var err error
		states, err = r.query.States(ctx, keys)
		return err == nil
	}, "no worker answers")
	for _, s := range states {
		counts = append(counts, s.Count)
	}
	return counts
}

// status returns the workers' status, and whether both have answered.
func (r *rig) status() ([]query.Worker, bool) {
	all, err := r.query.Status(r.t.Context(), answers)
	return all, err == nil && len(all) == len(workers)
}

// owned returns each shard's status by its owner, and whether every shard has one.
func (r *rig) owned() (map[int]query.ShardStatus, bool) {
	all, both := r.status()
	owned := make(map[int]query.ShardStatus)
	for _, w := range all {
		for _, s := range w.Shards {
			owned[s.Shard] = s
		}
	}
	return owned, both && len(owned) == shards
}

// states describes the workers' shards and their last log lines, for the message of a failed test.
func (r *rig) states() string {
	var out strings.Builder
	all, err := r.query.Status(context.Background(), answers)
	for _, w := range all {
		fmt.Fprintf(&out, "%s: %+v\n", w.Name, w.Shards)
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	for _, name := range workers {
		lines := strings.SplitAfter(r.log(name), "\n")
		fmt.Fprintf(&out, "%s:\n%s", name, strings.Join(lines[max(0, len(lines)-20):], ""))
	}
	return out.String()
}

// in returns the rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	sub := *r
	sub.t = t
	return &sub
}

// awaitRunning waits until every shard is running.
func (r *rig) awaitRunning() {
	r.t.Helper()
	r.eventually(func() bool {
		owned, all := r.owned()
		for _, s := range owned {
			all = all && s.State == "running"
		}
		return all
	}, "not every shard is running")
}

// record is the key of a shard's record in Redis.
func record(shard int) string { return fmt.Sprintf("{%s:%d}:record", app, shard) }

// positions returns each shard's position in the store.
func (r *rig) positions() (positions []string) {
	r.t.Helper()
	for n := range shards {
		p, err := r.rdb.HGet(context.Background(), record(n), "position").Result()
		if err != redis.Nil {
			require.NoError(r.t, err)
		}
		positions = append(positions, p)
	}
	return positions
}
