package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

const (
	shards = 4
	// look is how often a wait checks its condition; answers is how long the workers may take to answer.
	look, answers = 20 * time.Millisecond, 100 * time.Millisecond
)

// servers are a NATS and a Redis.
type servers struct {
	nats    *testkit.NATSServer
	redis   *testkit.RedisServer
	starter *process.Starter
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{nats: testkit.NATS(t), redis: testkit.RedisProcess(t), starter: process.NewStarter()}
	t.Cleanup(s.starter.Close)
	return s
}

// rig is an app on the servers, and its processes, which may be of several versions.
type rig struct {
	*servers
	t      *testing.T
	app    string
	logs   string // directory of the processes' logs
	nc     *nats.Conn
	query  *query.Client
	rdb    *redis.Client
	number int // of processes so far
}

func newRig(t *testing.T, s *servers, app string) *rig {
	t.Helper()
	r := &rig{servers: s, t: t, app: app, logs: t.TempDir(), nc: s.nats.Connect(t), rdb: redis.NewClient(&redis.Options{Addr: s.redis.Addr})}
	t.Cleanup(func() { r.rdb.Close() })
	r.query = query.NewClient(r.nc, app)
	t.Cleanup(func() {
		if t.Failed() {
			r.printLogs()
		}
	})
	return r
}

// start starts a program of a version for the app. It is killed when the test ends.
func (r *rig) start(v version, kind string, flags ...string) *process.Process {
	r.t.Helper()
	r.number++
	name := fmt.Sprintf("%s-%s-%d", kind, v.name, r.number)
	p, err := r.starter.Start(process.Spec{
		Name: name, Path: v.of[kind], Log: filepath.Join(r.logs, name+".log"), Args: append([]string{"--nats=" + r.nats.URL, "--app=" + r.app}, flags...),
	})
	require.NoError(r.t, err)
	r.t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		<-p.Ended()
	})
	return p
}

// router starts a router.
func (r *rig) router(v version) *process.Process {
	r.t.Helper()
	return r.start(v, servicefile.KindRouter, fmt.Sprintf("--shards=%d", shards), "--log-bytes=64MiB", "--history-bytes=32MiB")
}

// worker starts a worker.
func (r *rig) worker(v version, flags ...string) *process.Process {
	r.t.Helper()
	return r.start(v, servicefile.KindWorker, append(flags, "--redis="+r.redis.Addr)...)
}

// stop ends a process by SIGTERM, and requires that it ends well.
func (r *rig) stop(p *process.Process) {
	r.t.Helper()
	require.True(r.t, p.Signal(syscall.SIGTERM))
	require.Zero(r.t, p.ExitCode(), "%s", p.Name())
}

// kill ends a process at once.
func (r *rig) kill(p *process.Process) {
	r.t.Helper()
	require.True(r.t, p.Signal(syscall.SIGKILL))
	<-p.Ended()
}

// eventually waits until the condition holds.
func (r *rig) eventually(happened func() bool, format string, args ...any) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), programs.Patience)
	defer cancel()
	for !happened() {
		select {
		case <-time.After(look):
		case <-ctx.Done():
			require.FailNow(r.t, fmt.Sprintf(format, args...))
		}
	}
}

// awaitWorkers waits until n workers run all shards, each some of them.
func (r *rig) awaitWorkers(n int) {
	r.t.Helper()
	var last []query.Worker
	r.eventually(func() bool {
		all, err := r.query.Status(r.t.Context(), answers)
		last = all
		running := 0
		for _, w := range all {
			for _, s := range w.Shards {
				if s.State == "running" {
					running++
				}
			}
		}
		idle := slices.ContainsFunc(all, func(w query.Worker) bool { return len(w.Shards) == 0 })
		return err == nil && len(all) == n && running == shards && !idle
	}, "%d workers do not run all shards: %+v", n, late(func() any { return last }))
}

// late is a value that is read when a wait has failed.
type late func() any

func (l late) String() string { return fmt.Sprintf("%+v", l()) }

// load runs a load by a version's producer that must pass.
func (r *rig) load(v version, flags ...string) {
	r.t.Helper()
	r.startLoad(v, flags...).Passed()
}

func (r *rig) startLoad(v version, flags ...string) *programs.Load {
	r.t.Helper()
	args := append([]string{"load", "--nats=" + r.nats.URL, "--app=" + r.app}, flags...)
	return programs.StartLoadAs(r.t, exec.Command(v.of[servicefile.KindProducer], args...))
}

// send sends a plain event with an id, until a router has stored it.
func (r *rig) send(key, id, data string) {
	r.t.Helper()
	event := nats.NewMsg(topology.EventSubject(r.app) + "." + key)
	event.Header.Set(jetstream.MsgIDHeader, id)
	event.Data = []byte(data)
	var last any
	r.eventually(func() bool {
		m, err := r.nc.RequestMsg(event, 10*time.Second)
		if err != nil {
			last = err
			return false
		}
		var a struct{ Error any }
		require.NoError(r.t, json.Unmarshal(m.Data, &a))
		last = a.Error
		return a.Error == nil
	}, "no router takes an event of key %s: %v", key, late(func() any { return last }))
}

// states returns the stored states of keys.
func (r *rig) states(keys ...string) (states []query.State) {
	r.t.Helper()
	r.eventually(func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		var err error
		states, err = r.query.States(ctx, keys)
		return err == nil
	}, "no worker answers")
	return states
}

// awaitState waits until a key's state is as wanted.
func (r *rig) awaitState(key string, wanted func(query.State) bool) query.State {
	r.t.Helper()
	var last query.State
	r.eventually(func() bool {
		last = r.states(key)[0]
		return wanted(last)
	}, "the state of %s is %+v", key, late(func() any { return last }))
	return last
}

// emptyStore removes the slots of the app's shards.
func (r *rig) emptyStore() {
	r.t.Helper()
	keys, err := r.rdb.Keys(r.t.Context(), "{"+r.app+":*").Result()
	require.NoError(r.t, err)
	require.Greater(r.t, len(keys), shards)
	require.NoError(r.t, r.rdb.Del(r.t.Context(), keys...).Err())
}

// printLogs prints the last lines of each process, for a test that has failed.
func (r *rig) printLogs() {
	files, _ := filepath.Glob(filepath.Join(r.logs, "*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		r.t.Logf("%s:\n%s", filepath.Base(file), text[max(0, len(text)-3000):])
	}
}
