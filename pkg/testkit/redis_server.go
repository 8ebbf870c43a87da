package testkit

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// RedisServer is a redis-server process of one test.
type RedisServer struct {
	// Addr is host:port. It stays when the server is started again.
	Addr string

	path  string
	node  redisnodes.Node
	setUp func(redisnodes.Node) []string // arguments that depend on the ports
	args  []string
	proc  *process
}

// RedisOption changes how a redis-server is started.
type RedisOption func(*RedisServer)

// WithAOF makes the server keep what it is told in an append-only file, synced every
// second. Without it, it keeps nothing when it ends.
func WithAOF() RedisOption { return WithArgs("--appendonly", "yes", "--appendfsync", "everysec") }

// WithArgs passes more arguments to redis-server, for example "--maxmemory-policy", "allkeys-lru".
func WithArgs(args ...string) RedisOption {
	return func(r *RedisServer) { r.args = append(r.args, args...) }
}

// attempts bounds how many ports are tried: between finding a free one and
// redis-server's bind, another process may take it.
const attempts = 10

func startRedis(t testing.TB, path string, opts []RedisOption) *RedisServer {
	t.Helper()
	r := &RedisServer{path: path, setUp: redisnodes.Node.MasterArgs, args: []string{"--dir", t.TempDir(), "--save", "", "--appendonly", "no"}}
	for _, o := range opts {
		o(r)
	}
	t.Cleanup(r.Kill)
	var err error
	for range attempts {
		r.node.Host = "127.0.0.1"
		for _, port := range []*int{&r.node.Port, &r.node.Bus} {
			*port, err = freePort()
			require.NoError(t, err)
		}
		r.Addr = r.node.Addr()
		if err = r.run(); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	require.NoError(t, err)
	return r
}

// Start starts the server again after Stop or Kill, on the same port and with the same files.
func (r *RedisServer) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, r.run())
}

// Stop ends the server in good order (SIGTERM) and waits for its end.
func (r *RedisServer) Stop() { r.end(syscall.SIGTERM) }

// Kill ends the server as a crash does (SIGKILL) and waits for its end. Twice does no harm.
func (r *RedisServer) Kill() { r.end(syscall.SIGKILL) }

func (r *RedisServer) end(sig syscall.Signal) {
	if r.proc != nil {
		r.proc.end(sig)
		r.proc = nil
	}
}

// run starts the process and returns once it answers PING, or with what it printed.
func (r *RedisServer) run() error {
	p := start(exec.Command(r.path, append(r.setUp(r.node), r.args...)...))
	select {
	case <-p.ready:
	case <-p.exited:
		return fmt.Errorf("redis-server ended: %w\n%s", p.err, p.output.String())
	}
	c := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := c.Ping(ctx).Err(); err != nil && !strings.HasPrefix(err.Error(), "NOAUTH") {
		p.end(syscall.SIGKILL)
		return fmt.Errorf("redis-server does not answer: %w", err)
	}
	r.proc = p
	return nil
}

// freePort finds a port below those that systems give to outgoing connections, as one of these might take it before its server
// listens.
func freePort() (int, error) {
	for tries := 0; ; tries++ {
		port := 20_000 + rand.IntN(12_768)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch {
		case err == nil:
			return port, l.Close()
		case tries == 100:
			return 0, err
		}
	}
}

// The lines that redis-server, and a NATSNode, or a Sentinel prints when it is ready.
const (
	readyLine     = "Ready to accept connections"
	sentinelReady = "Sentinel ID is"
)

// process is a child that says on its standard output when it is ready.
type process struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed at readyLine or sentinelReady
	exited chan struct{} // closed at its end; err and output may be read after it
	err    error
	output strings.Builder
}

// start runs cmd from one goroutine that keeps its thread until the child has ended:
// where the child is to die with its parent, the kernel watches the parent's thread.
func start(cmd *exec.Cmd) *process {
	p := &process{cmd: cmd, ready: make(chan struct{}), exited: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		defer close(p.exited)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(cmd)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		close(started)
		if err != nil {
			p.err = err
			return
		}
		told := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			p.output.WriteString(line + "\n")
			if !told && (strings.Contains(line, readyLine) || strings.Contains(line, sentinelReady)) {
				told = true
				close(p.ready)
			}
		}
		p.err = cmd.Wait()
	}()
	<-started
	return p
}

func (p *process) end(sig syscall.Signal) {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(sig)
	}
	<-p.exited
}
