// Package rights tests docs/rights.md: with no more rights than it lists, every part does its work.
package rights

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	document = "docs/rights.md"
	app      = "shop" // of the document
)

// TestRightsSuffice runs each part as its own user of the document, through a load, a takeover and a purge of history. No
// operation is denied.
func TestRightsSuffice(t *testing.T) {
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	bin := programs.Build(t)
	n := serve(t, block(t, "conf"))
	rdb := restrictedRedis(t, block(t, "acl"))

	service := func(name string, flags ...string) *programs.Program {
		flags = append(flags, "--app="+app, "--nats="+n.as(name), "--admin=127.0.0.1:0", "--log-format=text")
		p := programs.Start(t, exec.Command(filepath.Join(bin, name), flags...))
		p.Await("msg=started")
		return p
	}
	router := service("router", "--shards=4", "--history-age=1s", "--history-bytes=64KiB")
	one := service("worker", "--redis="+rdb)
	two := service("worker", "--redis="+rdb)
	defer func() { // an orderly stop needs rights as well
		for _, p := range []*programs.Program{two, router} {
			p.Signal(syscall.SIGTERM)
			require.Zero(t, p.ExitCode(), strings.Join(p.Seen, "\n"))
			require.NotContains(t, strings.Join(p.Seen, "\n"), "NOPERM")
		}
		require.Empty(t, n.denied())
	}()

	publisher, err := publish.New(n.connect(t, "publisher"), publish.Config{App: app, OnReceipt: func(uint64) {}})
	require.NoError(t, err)
	require.NoError(t, publisher.Start(t.Context()))
	require.NoError(t, publisher.Send(t.Context(), "alice", []byte(`1`)))
	require.NoError(t, publisher.Stop(t.Context()))
	client := n.connect(t, "client")
	answer, err := client.Request(app+".in.event.alice", []byte(`1`), 5*time.Second)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"seq":`)

	l := programs.StartLoadAs(t, exec.Command(filepath.Join(bin, "producer"), "load", "--app="+app, "--nats="+n.as("operator"), "--rate=2000", "--duration=6s", "--keys=100"))
	l.Await(programs.Sending)
	one.Signal(syscall.SIGKILL)
	l.Passed()
	operator := query.NewClient(n.connect(t, "operator"), app)
	_, err = operator.Pause(t.Context(), 0, 100*time.Millisecond)
	require.NoError(t, err)
	workers, err := operator.Status(t.Context(), 100*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, workers, 1)
	requirePurged(t, n.connect(t, "operator"))
}

// requirePurged waits until the janitor has purged some of the log.
func requirePurged(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), topology.StreamName(app, 1, 0))
		return err == nil && s.CachedInfo().State.FirstSeq > 1
	}, programs.Patience, 10*time.Millisecond)
}

// TestCommandsOfScriptsAreListed finds a command that a script uses and the document lacks, without running the script.
func TestCommandsOfScriptsAreListed(t *testing.T) {
	scripts, err := filepath.Glob(programs.InRoot(t, "pkg/store/redis/*.lua"))
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	listed := strings.Fields(block(t, "acl"))
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		require.NoError(t, err)
		for _, call := range regexp.MustCompile(`redis\.p?call\('(\w+)'`).FindAllSubmatch(text, -1) {
			require.Contains(t, listed, "+"+strings.ToLower(string(call[1])), "%s, in %s", filepath.Base(script), document)
		}
	}
}

// block returns the document's block of code in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(programs.InRoot(t, document))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)\n```\n").FindSubmatch(text)
	require.NotNil(t, found, "%s has no block of %s", document, language)
	return string(found[1])
}

// natsServer collects the errors of a server, among them each denied operation.
type natsServer struct {
	url string

	mu     sync.Mutex // guards errors
	errors []string
}

// serve starts a server with a configuration, to which it adds JetStream and a free port.
func serve(t *testing.T, conf string) *natsServer {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nats.conf")
	conf = fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n%s\n", dir, conf)
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o600))
	opts, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	opts.NoSigs = true
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	n := &natsServer{}
	t.Cleanup(func() { t.Log(strings.Join(n.denied(), "\n")) })
	srv.SetLogger(n, false, false)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(10*time.Second))
	n.url = srv.Addr().String()
	return n
}

// as is the server's URL for a user. A user's password in the document is the first letter of the name.
func (n *natsServer) as(user string) string {
	return fmt.Sprintf("nats://%s:%s@%s", user, user[:1], n.url)
}

func (n *natsServer) connect(t *testing.T, user string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(n.as(user))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func (n *natsServer) denied() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.errors
}

// Errorf implements server.Logger. A denied operation is logged as an error.
func (n *natsServer) Errorf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

func (*natsServer) Noticef(string, ...any) {}
func (*natsServer) Warnf(string, ...any)   {}
func (*natsServer) Fatalf(string, ...any)  {}
func (*natsServer) Debugf(string, ...any)  {}
func (*natsServer) Tracef(string, ...any)  {}

// restrictedRedis returns the URL of a Redis on which the worker has only the rights of the ACL lines.
func restrictedRedis(t *testing.T, acl string) string {
	t.Helper()
	address := testkit.RedisProcess(t).Addr
	admin := redis.NewClient(&redis.Options{Addr: address})
	defer admin.Close()
	for line := range strings.Lines(acl) {
		var args []any
		for _, word := range strings.Fields(line) {
			args = append(args, word)
		}
		require.NoError(t, admin.Do(t.Context(), args...).Err(), line)
	}
	return "redis://worker:w@" + address
}
