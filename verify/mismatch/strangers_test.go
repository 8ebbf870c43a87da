package mismatch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

// A program that is started with another app, store or log refuses to work and says why.
func testStrangers(t *testing.T, bin string) {
	r := up(t, bin, bin)
	worker, router := filepath.Join(bin, "worker"), filepath.Join(bin, "router")
	here := []string{"--nats=" + r.File().NATS, "--redis=" + r.File().Redis}

	t.Run("another app", func(t *testing.T) {
		r.requireRefused(t, "no topology of app stranger: is a router running, and is that the app's name? (none within 1s)", worker,
			append(here, "--app=stranger", "--topology-timeout=1s")...)
		r.requireRefused(t, "no topology of app stranger", worker, append([]string{"accept-gap", "0", "--app=stranger"}, here...)...)
	})
	t.Run("a worker before its router", func(t *testing.T) {
		early := r.start("early", worker, append(here, "--app=early")...)
		r.awaitLog("early", "waiting for a router to create the topology")
		first := r.start("first", router, "--nats="+r.File().NATS, "--app=early")
		r.awaitLog("early", `"msg":"started"`)
		for _, p := range []*process.Process{early, first} {
			p.Signal(syscall.SIGTERM)
			require.Zero(t, p.ExitCode(), p.Outcome())
		}
	})

	other := testkit.NATS(t)
	js, err := jetstream.New(other.Conn)
	require.NoError(t, err)
	there := "--nats=" + other.URL
	p := r.start("other", router, there)
	r.awaitLog("other", `"msg":"started"`)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.ExitCode(), p.Outcome())
	t.Run("another's store", func(t *testing.T) {
		const says = `:record is of "`
		r.requireRefused(t, says, worker, there, here[1])
		r.requireRefused(t, says, worker, "accept-gap", "0", there, here[1])
	})
	t.Run("another's streams", func(t *testing.T) {
		require.NoError(t, js.DeleteKeyValue(t.Context(), topology.Bucket(app, "topology")))
		for range 2 {
			r.requireRefused(t, "the topology's entry is gone from bucket "+topology.Bucket(app, "topology")+", but its streams exist ("+topology.StreamName(app, 1, 0)+"; topology ", router, there)
		}
	})
	t.Run("another log under a running stack", func(t *testing.T) { r.in(t).testAnotherTopology() })
}

// NATS comes back empty, and a router sets up a new log: the workers' store belongs to the old one.
func (r *rig) testAnotherTopology() {
	t := r.t
	r.someLoad()
	at := r.positions()
	r.withoutNATS(func() { require.NoError(t, os.RemoveAll(filepath.Join(r.dir, stackdir.NATSDir))) })
	r.awaitLog("router-1", "bucket "+topology.Bucket(app, "topology")+": it is gone: restore it")
	for _, name := range workers {
		r.awaitLog(name, "bucket "+topology.Bucket(app, "claims")+": it is gone: restore it")
	}
	r.end("router-1", syscall.SIGTERM)
	sent := r.sendEach("new", 40)
	r.restartWorkersInVain(`:record is of "`)
	require.Equal(t, at, r.positions(), "the store is left alone")

	require.NoError(t, r.rdb.FlushAll(context.Background()).Err())
	r.awaitRunning()
	r.requireCounts(sent, 1)
	r.someLoad()
}

// restartWorkersInVain ends the workers, and waits until each has been started again and has refused.
func (r *rig) restartWorkersInVain(says string) {
	r.t.Helper()
	for _, name := range workers {
		r.end(name, syscall.SIGTERM)
		r.eventually(func() bool { return strings.Contains(r.log(name), "\nworker: ") }, "%s does not refuse", name)
		lines := r.log(name)
		require.Contains(r.t, lines[strings.Index(lines, "\nworker: "):], says)
	}
}

// requireRefused requires that a program ends with exit code 1 and one line besides its log.
func (r *rig) requireRefused(t *testing.T, says, path string, args ...string) {
	t.Helper()
	code, out := r.run(path, args...)
	require.Equal(t, 1, code, out)
	var said []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			said = append(said, line)
		}
	}
	require.Len(t, said, 1, out)
	require.True(t, strings.HasPrefix(said[0], filepath.Base(path)+": "), said[0])
	require.Contains(t, said[0], says)
}
