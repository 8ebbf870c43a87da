package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// programs is a directory with a router and a worker that end at once.
func programs(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"router", "worker"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho no >&2; exit 1\n"), 0o755))
	}
	return dir
}

func newStack(t *testing.T, dir, redis string) (*Stack, *bytes.Buffer) {
	t.Helper()
	said := new(bytes.Buffer)
	s, err := New(Config{
		Dir: dir, Bin: programs(t), Workers: 1, Routers: 1, Shards: 1, Redis: redis, NATSPort: PortAny,
		Say: func(line string) { said.WriteString(line + "\n") },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s, said
}

func TestStartFailsWithTheReasonAndStopCleansUp(t *testing.T) {
	s, _ := newStack(t, t.TempDir(), RedisEmbedded)
	require.EqualError(t, s.Start(context.Background()), "router-1 does not start: exit status 1, last line: no")
	require.NoError(t, s.Stop(context.Background()))
	require.NoError(t, s.Stop(context.Background()), "twice is fine")
	require.ErrorIs(t, s.Start(context.Background()), errStopped)
}

func TestStartEndsWithItsContextAndWithStop(t *testing.T) {
	s, _ := newStack(t, t.TempDir(), RedisEmbedded)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(context.DeadlineExceeded)
	require.ErrorIs(t, s.Start(ctx), context.DeadlineExceeded)

	s, _ = newStack(t, t.TempDir(), RedisEmbedded)
	started := make(chan error)
	go func() { started <- s.Start(context.Background()) }()
	require.NoError(t, s.Stop(context.Background()))
	require.Error(t, <-started)
}

// A stack keeps or empties its log depending on the Redis that it used last.
func TestChooseRedis(t *testing.T) {
	withServer, without := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(withServer, "redis-server"), []byte("#!/bin/sh\n"), 0o755))
	for name, test := range map[string]struct {
		before, asked, path string
		want                string // kind
		emptied             bool
		err                 string
	}{
		"new, redis-server there":     {"", RedisAuto, withServer, "redis-server", false, ""},
		"new, none there":             {"", RedisAuto, without, "miniredis", true, ""},
		"embedded asked for":          {"", RedisEmbedded, withServer, "miniredis", true, ""},
		"redis-server again":          {"redis-server", RedisAuto, withServer, "redis-server", false, ""},
		"redis-server gone":           {"redis-server", RedisAuto, without, "", false, "redis-server is not on PATH"},
		"embedded after redis-server": {"redis-server", RedisEmbedded, withServer, "miniredis", true, ""},
		"redis-server after embedded": {"embedded", RedisAuto, withServer, "redis-server", true, ""},
		"external":                    {"redis-server", "127.0.0.1:6379", without, "your Redis", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", test.path)
			s, said := newStack(t, t.TempDir(), test.asked)
			require.NoError(t, s.dir.SetNote(test.before))
			log := s.dir.Path(stackdir.NATSDir)
			require.NoError(t, os.Mkdir(log, 0o755))

			chosen, err := s.chooseRedis()
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				require.DirExists(t, log)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, chosen.kind())
			if test.emptied {
				require.NoDirExists(t, log)
				require.Contains(t, said.String(), "the log starts empty")
			} else {
				require.DirExists(t, log)
				require.Empty(t, said.String())
			}
		})
	}
}

func TestEmbeddedRedisAges(t *testing.T) {
	r := &embeddedRedis{}
	require.NoError(t, r.start(context.Background()))
	client := redis.NewClient(&redis.Options{Addr: r.address()})
	defer client.Close()
	ctx := context.Background()
	require.NoError(t, client.Set(ctx, "key", "x", 200*time.Millisecond).Err())
	require.Eventually(t, func() bool { return client.Exists(ctx, "key").Val() == 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, r.stop(ctx))
}

func TestNATSKeepsItsLog(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	use := func(work func(jetstream.JetStream)) {
		n, err := startNATS(PortAny, filepath.Join(dir, "nats"), filepath.Join(dir, "nats.log"))
		require.NoError(t, err)
		defer n.stop(ctx)
		nc, err := nats.Connect(n.url())
		require.NoError(t, err)
		defer nc.Close()
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		work(js)
	}
	use(func(js jetstream.JetStream) {
		// A stream's limit may exceed the disk.
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}, MaxBytes: 100 << 30})
		require.NoError(t, err)
		_, err = js.Publish(ctx, "log", []byte("kept"))
		require.NoError(t, err)
	})
	use(func(js jetstream.JetStream) {
		stream, err := js.Stream(ctx, "LOG")
		require.NoError(t, err)
		info, err := stream.Info(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, info.State.Msgs)
	})
}

func TestNATSPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = natsPort(port)
	require.EqualError(t, err, "port "+strconv.Itoa(port)+" for NATS is taken: choose another port or leave --nats-port out")
}

func TestFreePortsDiffer(t *testing.T) {
	addresses, err := freePorts(20)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, a := range addresses {
		require.True(t, isFree(a))
		require.False(t, seen[a])
		seen[a] = true
	}
}

func TestStackJSONIsTheContract(t *testing.T) {
	s, _ := newStack(t, t.TempDir(), RedisEmbedded)
	s.childStarted(stackfile.Process{Name: "worker-1", Role: "worker", PID: 7, Admin: "127.0.0.1:1", App: appname.Default}, nil)
	s.childStarted(stackfile.Process{Name: "front-api", Role: "api", PID: 8, Admin: "127.0.0.1:4", App: "shop", HTTP: "127.0.0.1:5"}, nil)
	s.nats, s.redis = &natsServer{port: 2}, &externalRedis{addr: "127.0.0.1:3"}
	require.NoError(t, s.announce(context.Background()))
	s.nats, s.redis = nil, nil
	text, err := os.ReadFile(s.dir.Path("stack.json"))
	require.NoError(t, err)
	want := `{"schema":2,"pid":` + strconv.Itoa(os.Getpid()) + `,"nats":"nats://127.0.0.1:2","redis":"127.0.0.1:3","app":"` + appname.Default + `",` +
		`"processes":[{"name":"worker-1","role":"worker","pid":7,"admin":"127.0.0.1:1","app":"` + appname.Default + `"},` +
		`{"name":"front-api","role":"api","pid":8,"admin":"127.0.0.1:4","app":"shop","http":"127.0.0.1:5"}]}`
	require.JSONEq(t, want, string(text))
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, text))
	require.Equal(t, want, strings.TrimSpace(compact.String()), "in this order")
}

func TestAnEventThatDoesNotComeThroughIsExplained(t *testing.T) {
	s, said := newStack(t, t.TempDir(), RedisEmbedded)
	require.NoError(t, s.prepareDir())
	logs := s.dir.Path(stackdir.LogsDir)
	for name, text := range map[string]string{
		"worker-1.log": "time=2026-01-01T00:00:01 level=WARN msg=old\ntime=2026-01-01T00:00:03 level=WARN msg=no\ntime=2026-01-01T00:00:04 level=INFO msg=x\n",
		"worker-2.log": "time=2026-01-01T00:00:02 level=WARN msg=older\n",
		"router-1.log": "time=2026-01-01T00:00:09 level=WARN msg=router\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(logs, name), []byte(text), 0o644))
	}
	require.NoError(t, s.startNATS(t.Context()))
	s.probePatience = time.Millisecond
	s.cfg.Probe = func(ctx context.Context, _, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("not ready after 30s"))
	defer cancel()
	what := "for its first event, `{}` with key stack-ready, to be applied; the workers' last warning: " +
		"time=2026-01-01T00:00:03 level=WARN msg=no"
	require.EqualError(t, s.probe(ctx), "not ready after 30s; the stack waited "+what)
	require.Equal(t, "still waiting "+what+"; the logs are in "+logs+"\n", said.String(), "once")
}

// A service that refuses to start has not crashed. One that ends in any other way without being told to has.
func TestCrashed(t *testing.T) {
	starter := process.NewStarter()
	defer starter.Close()
	for script, is := range map[string]bool{
		"echo 'worker: cannot reach Redis'; exit 1":                       false,
		"echo 'level=INFO msg=started took=1ms'; exit 1":                  true,
		"echo 'level=INFO msg=stopped took=1ms'; exit 0":                  true,
		"echo 'panic: no'; exit 2":                                        true,
		"kill -9 $$":                                                      true,
		"echo 'level=WARN msg=disconnected'; echo 'worker: gone'; exit 1": false,
	} {
		p, err := starter.Start(process.Spec{Name: "worker-1", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
		require.NoError(t, err)
		require.Equal(t, is, crashed(p), script)
	}
}

// Signal reports a process that has ended by itself.
func TestSignalAfterTheEnd(t *testing.T) {
	s, _ := newStack(t, t.TempDir(), RedisEmbedded)
	_, err := s.Signal("worker-1", syscall.SIGKILL)
	require.ErrorIs(t, err, errNone)
	p, err := s.starter.Start(process.Spec{Name: "worker-1", Path: "/bin/sh", Args: []string{"-c", "exit 3"}, Log: filepath.Join(t.TempDir(), "log")})
	require.NoError(t, err)
	<-p.Ended()
	s.childStarted(stackfile.Process{Name: "worker-1"}, p)
	_, err = s.Signal("worker-1", syscall.SIGKILL)
	require.ErrorIs(t, err, errEnded)
	require.EqualError(t, err, `send "killed" to worker-1: the process had ended by itself: exit status 3`)
}
