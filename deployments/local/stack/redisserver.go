package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit/redisnodes"
)

const redisProgram = "redis-server"

// redisServer is redis-server as a child, with its data in the stack directory.
type redisServer struct {
	stack      *Stack
	path       string
	name, role string
	dir        string
	node       redisnodes.Node
	options    []string
	config     string // what its configuration file says at first, for a server that rewrites the file; "" for no file
	keeper     *process.Keeper
}

// newRedisServer finds ports for a server and starts nothing. The server keeps its ports: workers know no others.
func (s *Stack) newRedisServer(path, name, role, dir string) (*redisServer, error) {
	addresses, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	var ports [2]int
	for i, address := range addresses {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if ports[i], err = strconv.Atoi(port); err != nil {
			return nil, err
		}
	}
	r := &redisServer{stack: s, path: path, name: name, role: role, dir: dir}
	r.node = redisnodes.Node{Host: "127.0.0.1", Port: ports[0], Bus: ports[1]}
	r.options = r.keeping(r.node.MasterArgs())
	return r, nil
}

// keeping adds how the server keeps its data.
func (r *redisServer) keeping(options []string) []string {
	return append(options,
		"--dir", r.dir, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
}

func (r *redisServer) kind() string          { return "redis-server" }
func (r *redisServer) address() string       { return r.node.Addr() }
func (r *redisServer) called() string        { return r.name }
func (r *redisServer) kept() *process.Keeper { return r.keeper }

func (r *redisServer) answers(ctx context.Context) error { return ping(ctx, r.address()) }

func (r *redisServer) start(ctx context.Context) error {
	if err := r.launch(ctx); err != nil {
		return err
	}
	return r.stack.await(ctx, r.name, r.answers)
}

func (r *redisServer) launch(ctx context.Context) error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	if r.config != "" {
		if err := os.WriteFile(r.configFile(), []byte(r.config), 0o600); err != nil {
			return err
		}
	}
	r.keeper = process.NewKeeper(r.stack.starter, process.Events{
		Spec: r.spec,
		Started: func(p *process.Process) {
			r.stack.childStarted(stackfile.Process{Name: r.name, Role: r.role, PID: p.PID()}, p)
		},
		Ended: func(_ *process.Process, why string, wait time.Duration) { r.stack.childEnded(r.name, why, wait) },
	})
	return r.keeper.Start(ctx)
}

func (r *redisServer) configFile() string { return filepath.Join(r.dir, "redis.conf") }

// spec is the same for every start.
func (r *redisServer) spec() process.Spec {
	args := []string{"-c", `umask 077; exec "$0" "$@"`, r.path} // redis-server has no setting for the mode of its files
	if r.config != "" {
		args = append(args, r.configFile())
	}
	return process.Spec{
		Name: r.name,
		Path: "/bin/sh",
		Args: append(args, r.options...),
		Log:  r.stack.dir.Path(stackdir.LogsDir, r.name+".log"),
	}
}

func (r *redisServer) stop(ctx context.Context) error {
	if r.keeper == nil {
		return nil
	}
	if err := r.keeper.Stop(ctx); err != nil {
		return fmt.Errorf("%s %w", r.name, err)
	}
	return nil
}

// inFile moves the options into a configuration file: Sentinel tells a server to note there whether it is a master.
func (r *redisServer) inFile(options []string) {
	var text strings.Builder
	for i := 0; i+1 < len(options); i += 2 {
		value := options[i+1]
		if value == "" || filepath.IsAbs(value) {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&text, "%s %s\n", strings.TrimPrefix(options[i], "--"), value)
	}
	r.config, r.options = text.String(), nil
}
