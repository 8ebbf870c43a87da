package stack

import (
	"context"
	"errors"
	"os/exec"
	"slices"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
)

// serverProcess is a NATS server or a Redis that is a process of its own.
type serverProcess interface {
	called() string
	kept() *process.Keeper
	// answers asks once whether the server can do its work.
	answers(context.Context) error
}

// servers returns the servers that are processes, in the order of their start.
func (s *Stack) servers() (servers []serverProcess) {
	switch r := s.redis.(type) {
	case *redisServer:
		servers = append(servers, r)
	case *redisNodes:
		for _, one := range r.all() {
			servers = append(servers, one)
		}
	}
	for _, l := range s.locks {
		servers = append(servers, l)
	}
	switch n := s.nats.(type) {
	case *natsProcess:
		servers = append(servers, n)
	case *natsCluster:
		for _, node := range n.nodes {
			servers = append(servers, node)
		}
	}
	return servers
}

// server returns the server of that name, nil if there is none.
func (s *Stack) server(name string) serverProcess {
	servers := s.servers()
	if i := slices.IndexFunc(servers, func(one serverProcess) bool { return one.called() == name }); i >= 0 {
		return servers[i]
	}
	return nil
}

// startLocks starts the servers that hold only locks.
func (s *Stack) startLocks(ctx context.Context) error {
	if s.cfg.LockServers == 0 {
		return nil
	}
	path, err := exec.LookPath(redisProgram)
	if err != nil {
		return errors.New("lock servers need redis-server on PATH")
	}
	for i := range s.cfg.LockServers {
		name := ServiceName(stackfile.RoleLock, i)
		l, err := s.newRedisServer(path, name, stackfile.RoleLock, s.dir.Path(stackdir.LocksDir, name))
		if err != nil {
			return err
		}
		s.locks = append(s.locks, l)
		if err := l.start(ctx); err != nil {
			return err
		}
	}
	return nil
}
