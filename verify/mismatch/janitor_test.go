package mismatch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/testkit"
)

// The janitor is held when it has read the shards' positions, or has also recorded them. Then the store is wiped and filled
// again half-way. So the janitor purges messages that the shards have yet to commit.
func testPausedJanitor(t *testing.T, bin string) {
	overlay := programs.Overlay{}
	overlay.Edit(t, programs.InRoot(t, "pkg/janitor/janitor.go"), map[string]string{
		"	state := stream.CachedInfo().State\n": "	gate(\"clean\")\n	state := stream.CachedInfo().State\n",
		// Its purge goes on even if its lease runs out.
		"	j.beforePurge()\n":       "	gate(\"look\")\n	ctx = context.WithoutCancel(ctx)\n",
		"	if err := stream.Purge(": "	gate(\"record\")\n	if err := stream.Purge(",
	})
	overlay[programs.InRoot(t, "pkg/janitor/gate.go")] = "package janitor\n" + gateSource
	overlay.Edit(t, programs.InRoot(t, "services/worker/handler.go"), map[string]string{"func Apply(": "func apply("})
	overlay[programs.InRoot(t, "services/worker/gate.go")] = "package main\n" + gateSource
	overlay[programs.InRoot(t, "services/worker/held.go")] = `package main

import (
	"context"
	"strconv"
	"strings"

	"` + testkit.ModulePath() + `/pkg/consume"
)

func Apply(ctx context.Context, acc *Account, ev consume.Event) error {
	if strings.HasPrefix(ev.Key, "held-") {
		gate("shard-" + strconv.Itoa(ev.Shard))
	}
	return apply(ctx, acc, ev)
}
`
	flag := overlay.Flag(t)
	for _, c := range []struct {
		gate    string
		stopped bool // the janitor's whole process, so that its shards move
	}{{"look", true}, {"record", false}} {
		t.Run("held after the "+c.gate, func(t *testing.T) {
			g := gates{t, t.TempDir()}
			programs.BuildModule(t, "services/worker", g.dir, flag)
			require.NoError(t, os.Symlink(filepath.Join(bin, "router"), filepath.Join(g.dir, "router")))
			g.shut("clean")
			g.shut(c.gate)
			r := up(t, bin, g.dir, shortHistory...)
			testHeldJanitor(r, g, c.gate, c.stopped)
		})
	}
}

func testHeldJanitor(r *rig, g gates, gate string, stopped bool) {
	t := r.t
	// More events for each shard than fit into one round: a round begun before the purge is committed, and there must be more.
	// With so many keys each shard gets about its share.
	many := []string{"--rate=12000", "--events=30000", "--keys=2000"}
	r.load(many...)
	held := r.sendEach("held", 40)
	r.load(many...)
	r.requireCounts(held, 1)
	g.open("clean")
	janitor := g.caught(r, gate)

	for n := range shards {
		g.shut("shard-" + strconv.Itoa(n))
	}
	if stopped {
		require.NoError(t, syscall.Kill(janitor, syscall.SIGSTOP))
		t.Cleanup(func() { syscall.Kill(janitor, syscall.SIGCONT) })
	}
	require.NoError(t, r.rdb.FlushAll(context.Background()).Err())
	for n := range shards {
		g.caught(r, "shard-"+strconv.Itoa(n))
	}
	if stopped {
		require.NoError(t, syscall.Kill(janitor, syscall.SIGCONT))
	}
	g.open(gate)
	r.awaitPurged()
	for n := range shards {
		g.open("shard-" + strconv.Itoa(n))
	}
	const why = "the next messages were purged, as the store had them once"
	r.awaitStopped(why)
	r.restartWorkers()
	r.awaitStopped(why)
	r.acceptGaps("are gone; it goes on behind them")
	r.someLoad()
}

// gates are points at which the programs in a directory wait while the directory has a file of the gate's name.
type gates struct {
	t   *testing.T
	dir string
}

func (g gates) shut(name string) {
	g.t.Helper()
	require.NoError(g.t, os.WriteFile(filepath.Join(g.dir, name), nil, 0o600))
}

func (g gates) open(name string) {
	g.t.Helper()
	require.NoError(g.t, os.Remove(filepath.Join(g.dir, name)))
}

// caught waits until a process waits at a gate, and returns its pid.
func (g gates) caught(r *rig, name string) (pid int) {
	g.t.Helper()
	r.eventually(func() bool {
		text, err := os.ReadFile(filepath.Join(g.dir, name+".caught"))
		if err != nil {
			return false
		}
		_, err = fmt.Sscanf(string(text), "%d\n", &pid)
		return err == nil
	}, "no process comes to the gate %s", name)
	return pid
}

const gateSource = `
import (
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func gate(name string) {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	at := filepath.Join(filepath.Dir(program), name)
	said := false
	for {
		if _, err := os.Stat(at); err != nil {
			return
		}
		if !said {
			if err := os.WriteFile(at+".caught", []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
				panic(err)
			}
			said = true
		}
		time.Sleep(5 * time.Millisecond)
	}
}
`
