package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// program is the built worker, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "worker")
	if err == nil {
		program = filepath.Join(dir, "worker")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "./internal/ledger").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the ledger:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const nobody = "127.0.0.1:1" // where nobody listens, on a port that the system never gives away by itself

// command is the program, with arguments.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, stderr *strings.Builder) {
	cmd = exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	stderr = new(strings.Builder)
	cmd.Stderr = stderr
	return cmd, stderr
}

// lines are those that are not the log's.
func lines(stderr string) []string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(stderr), "\n") {
		if !strings.HasPrefix(line, "{") {
			out = append(out, line)
		}
	}
	return out
}

func requireRefused(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	cmd, stderr := command(t, args...)
	began := time.Now()
	_ = cmd.Run()
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%v: %s", args, stderr)
	said := lines(stderr.String())
	require.Len(t, said, 1, "one line: %s", stderr)
	require.True(t, strings.HasPrefix(said[0], "worker: "), said[0])
	require.Contains(t, said[0], says)
	require.Less(t, time.Since(began), 8*time.Second)
}

func TestBadUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"--app=UPPER", "--app"},
		{"--nats=http://h", "--nats"},
		{"--redis=nowhere", "--redis=nowhere"},
		{"--lock-redis=a:1 --lock-redis=a:1", "given twice"},
		{"--cache-bytes=much", "--cache-bytes"},
		{"--cache-bytes=-1MiB", "--cache-bytes"},
		{"--cache-bytes=0", "--cache-bytes"},
		{"--stop-timeout=0s", "--stop-timeout"},
		{"--topology-timeout=0s", "--topology-timeout"},
		{"--concurrency=0", "--concurrency=0: must be above 0"},
		{"--slow-time=-1s", "--slow-time=-1s: must be above 0"},
		{"--retry-max=1ms", "--retry-max=1ms: must be at least --retry-min, which is 100ms"},
		{"--shards=16", "unknown flag --shards"},
		{"run --log-level=loud", "--log-level"},
		{"--overdraft=maybe", "--overdraft must be one of"},
		{"fly", "unexpected argument fly"},
		{"--cache-bytes=-1", "--cache-bytes: -1 is out of range: want a size from 0 up, like 64MiB"},
		{"--cache-bytes=5x", `--cache-bytes: "5x" is not a size: want one like 64MiB or 1.5GiB`},
		{"--name=a\xff", `argument 1 is not UTF-8: "--name=a\xff"`},
	} {
		t.Run(c.args, func(t *testing.T) { requireRefused(t, 2, c.says, strings.Fields(c.args)...) })
	}
}

func TestServersThatAreAbsent(t *testing.T) {
	n := testkit.NATS(t)
	state := testkit.Redis(t)
	requireRefused(t, 1, "cannot reach NATS at nats://"+nobody, "--nats=nats://"+nobody, "--redis="+state)
	requireRefused(t, 1, "cannot reach Redis at "+nobody, "--nats="+n.URL, "--redis="+nobody)
	requireRefused(t, 1, "cannot reach Redis at "+nobody, "--nats="+n.URL, "--redis="+state, "--lock-redis="+nobody)
	requireRefused(t, 1, "listen", "--nats="+n.URL, "--redis="+state, "--admin="+strings.TrimPrefix(n.URL, "nats://"))
}

func open(t *testing.T, n *testkit.NATSServer) topology.Topology {
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	topo, _, err := topology.Open(t.Context(), js, appname.Default, topology.Initial{Shards: 4, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return topo
}

func TestStoreOfAnotherTopology(t *testing.T) {
	n, state := testkit.NATS(t), testkit.Redis(t)
	topo := open(t, n)
	rdb := redis.NewClient(&redis.Options{Addr: state})
	defer func() { _ = rdb.Close() }()
	_, err := redisstore.New(rdb, appname.Default, "another").Claim(t.Context(), 0, 1, store.NewVersion())
	require.NoError(t, err)
	requireRefused(t, 1, "{"+appname.Default+`:0}:record is of "another", the log is of "`+topo.ID+`"`, "--nats="+n.URL, "--redis="+state)
}

func TestAppWithoutTopology(t *testing.T) {
	at := []string{"--nats=" + testkit.NATS(t).URL, "--redis=" + testkit.Redis(t), "--app=stranger"}
	requireRefused(t, 1, "no topology of app stranger: is a router running, and is that the app's name? (none within 100ms)", append(at, "--topology-timeout=100ms")...)
	requireRefused(t, 1, "no topology of app stranger", append([]string{"accept-gap", "0"}, at...)...)
}

// `worker` is `worker run`. Both own shards, apply events, and end well on SIGTERM.
func TestWorkers(t *testing.T) {
	n, state := testkit.NATS(t), testkit.Redis(t)
	epoch := open(t, n).Current()
	flags := []string{"--nats=" + n.URL, "--redis=" + state}
	one, oneLog := command(t, append(flags, "--name=one")...)
	two, twoLog := command(t, append(append([]string{"run"}, flags...), "--name=two")...)
	require.NoError(t, one.Start())
	require.NoError(t, two.Start())

	client := query.NewClient(n.Conn, appname.Default)
	require.Eventually(t, func() bool {
		workers, err := client.Status(t.Context(), 50*time.Millisecond)
		if err != nil || len(workers) != 2 || len(workers[0].Shards)+len(workers[1].Shards) != 4 {
			return false
		}
		for _, w := range workers {
			for _, s := range w.Shards {
				if s.State != "running" {
					return false
				}
			}
		}
		return workers[0].Name != workers[1].Name
	}, 20*time.Second, 20*time.Millisecond, "not both at work")

	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	ring, err := epoch.Ring()
	require.NoError(t, err)
	m := &nats.Msg{Subject: topology.WorkSubject(appname.Default, 1, 0, ring.Shard("alice")), Data: []byte(`{"amount":5}`), Header: nats.Header{"Kind": {"event"}, "Lockstep-Place": {fmt.Sprint("1.", ring.Shard("alice"))}, "Key": {"alice"}}}
	_, err = js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		states, err := client.States(context.Background(), []string{"alice"})
		return err == nil && states[0].Count == 1 && string(states[0].Data) == `{"balance":5}`
	}, 20*time.Second, 10*time.Millisecond, "not applied")

	for cmd, log := range map[*exec.Cmd]*strings.Builder{one: oneLog, two: twoLog} {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), "%s", log)
	}
	_, err = client.Status(t.Context(), time.Second)
	require.ErrorIs(t, err, query.ErrNoWorker)
}

func TestAcceptGapCommand(t *testing.T) {
	n := testkit.NATS(t)
	addr := testkit.Redis(t)
	requireRefused(t, 2, "<shard>", "accept-gap")
	requireRefused(t, 2, "shard", "accept-gap", "seven")
	top := open(t, n)
	at := []string{"--nats=" + n.URL, "--redis=" + addr}
	requireRefused(t, 1, "there are shards 0 to", append([]string{"accept-gap", "99"}, at...)...)
	requireRefused(t, 1, "shard 0: there is no gap: nothing was changed", append([]string{"accept-gap", "0"}, at...)...)

	// A message that cannot be read is passed over.
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), topology.WorkSubject(appname.Default, top.Current().Epoch, 0, 0), append(frame.AppendMark(nil, frame.Place{Epoch: 1}), "garbage"...))
	require.NoError(t, err)
	cmd, stderr := command(t, append([]string{"accept-gap", "0"}, at...)...)
	out, err := cmd.Output()
	require.NoError(t, err, stderr)
	require.Contains(t, string(out), "shard 0 passes over message 1, which cannot be read")
}
