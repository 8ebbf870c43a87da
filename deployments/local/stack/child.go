package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
)

// child is one service that is kept running.
type child struct {
	service
	stack  *Stack
	env    []string
	keeper *process.Keeper

	mu    sync.Mutex // guards what follows
	admin string
	http  string   // where an API takes requests, "" for other services
	more  []string // flags added by a restart
}

func newChild(s *Stack, what service, env []string, admin string) *child {
	c := &child{service: what, stack: s, env: env, admin: admin}
	c.keeper = process.NewKeeper(s.starter, process.Events{Spec: c.spec, Started: c.started, Ended: c.ended})
	return c
}

// address returns where the child's admin HTTP listens.
func (c *child) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.admin
}

// reflag adds flags for the next start. They win over those that are there.
func (c *child) reflag(flags []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.more = append(c.more, flags...)
}

// spec keeps the child's addresses over restarts unless another program has taken them.
func (c *child) spec() process.Spec {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := []string{"--admin=" + still(&c.admin)}
	if c.http != "" {
		own = append(own, "--listen="+still(&c.http))
	}
	return process.Spec{
		Name: c.name,
		Path: filepath.Join(c.stack.cfg.Bin, c.program),
		Args: slices.Concat(own, c.flags, c.more),
		Env:  c.env,
		Log:  c.stack.dir.Path(stackdir.LogsDir, c.name+".log"),
	}
}

// still replaces an address that another program has taken, and returns it.
func still(address *string) string {
	if !isFree(*address) {
		if others, err := freePorts(1); err == nil {
			*address = others[0]
		}
	}
	return *address
}

func (c *child) started(p *process.Process) {
	c.stack.childStarted(c.process(p.PID()), p)
}

// process describes the child's process for stack.json.
func (c *child) process(pid int) stackfile.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return stackfile.Process{Name: c.name, Role: c.role, PID: pid, Admin: c.admin, App: c.app, HTTP: c.http}
}

func (c *child) ended(p *process.Process, why string, wait time.Duration) {
	if p != nil && crashed(p) {
		c.stack.childCrashed(fmt.Sprintf("%s ended by itself: %s", c.name, why))
	}
	c.stack.childEnded(c.name, why, wait)
}

// A service that refuses to start, as when a server cannot be reached, ends with the exit code refused and does not log that
// it has started.
const (
	refused    = 1
	hasStarted = " msg=started "
)

// crashed tells whether a service ended by itself and not by a refusal to start. A service that has started waits for
// servers that are away.
func crashed(p *process.Process) bool {
	return p.ByItself() && (p.ExitCode() != refused || p.Logged(hasStarted))
}

// Ports for servers lie below those that systems give to outgoing connections, as one of these might take a port between the time
// that it is found free and the time that its server listens.
const lowestPort, highestPort = 20_000, 32_767

// freePorts returns n addresses of this machine with different ports that are free.
func freePorts(n int) ([]string, error) {
	var addresses []string
	for tries := 0; len(addresses) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowestPort+rand.IntN(highestPort-lowestPort+1)))
		if err != nil {
			if tries < 100*n {
				continue
			}
			return nil, fmt.Errorf("find a free port from %d to %d: %w", lowestPort, highestPort, err)
		}
		defer l.Close() // held until all are found, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
