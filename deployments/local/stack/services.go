package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// startRouters comes before startWorkers: the routers create the topology that the workers read.
func (s *Stack) startRouters(ctx context.Context) (err error) {
	flags := []string{fmt.Sprintf("--shards=%d", s.cfg.Shards), "--lanes=" + s.cfg.Lanes}
	if s.cfg.NATSServers > 1 {
		flags = append(flags, fmt.Sprintf("--replicas=%d", s.cfg.NATSServers))
	}
	flags = append(flags, s.cfg.RouterFlags...)
	s.routers, err = s.startServices(ctx, stackfile.RoleRouter, s.cfg.Routers, flags)
	return err
}

func (s *Stack) startWorkers(ctx context.Context) (err error) {
	s.workers, err = s.startServices(ctx, stackfile.RoleWorker, s.cfg.Workers, s.cfg.WorkerFlags)
	return err
}

// serverEnv is the environment that tells a service where the servers are. It is no flags because an address may hold a password.
func (s *Stack) serverEnv(name, role string) ([]string, error) {
	nats, err := s.NATSFor(name)
	if err != nil {
		return nil, err
	}
	env := []string{appname.EnvPrefix + "_NATS=" + nats}
	if role != stackfile.RoleWorker {
		return env, nil
	}
	redis := s.redis.address()
	if _, several := s.redis.(*redisNodes); !several { // clients learn the addresses of several from the servers
		if redis, err = s.cfg.Via(name, stackfile.RoleRedis, redis); err != nil {
			return nil, err
		}
	}
	env = append(env, appname.EnvPrefix+"_REDIS="+redis)
	var locks []string
	for _, l := range s.locks {
		lock, err := s.cfg.Via(name, l.name, l.address())
		if err != nil {
			return nil, err
		}
		locks = append(locks, lock)
	}
	if len(locks) > 0 {
		env = append(env, appname.EnvPrefix+"_LOCK_REDIS="+strings.Join(locks, " "))
	}
	return env, nil
}

// NATSFor returns the URL by which a client of that name reaches NATS; of a cluster all URLs, separated by commas. Each
// call asks Config.Via for new addresses.
func (s *Stack) NATSFor(name string) (string, error) {
	cluster, ok := s.nats.(*natsCluster)
	if !ok {
		return s.cfg.Via(name, stackfile.RoleNATS, s.nats.url())
	}
	var urls []string
	for _, node := range cluster.nodes {
		url, err := s.cfg.Via(name, node.name, node.url())
		if err != nil {
			return "", err
		}
		urls = append(urls, url)
	}
	return strings.Join(urls, ","), nil
}

// ServiceName is the name of a service, or of one of several servers; i counts from 0.
func ServiceName(role string, i int) string { return fmt.Sprintf("%s-%d", role, i+1) }

// startServices starts n processes of one role and waits until all are ready.
func (s *Stack) startServices(ctx context.Context, role string, n int, flags []string) ([]*child, error) {
	admins, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	common := []string{"--app=" + s.cfg.App, "--log-format=text", "--pprof"}
	var children []*child
	for i, admin := range admins {
		name := ServiceName(role, i)
		env, err := s.serverEnv(name, role)
		if err != nil {
			return children, err
		}
		own := slices.Concat(common, flags)
		if role == stackfile.RoleWorker {
			own = append(own, "--name="+name)
		}
		c := newChild(s, stackfile.Process{Name: name, Role: role, Admin: admin}, own, env)
		children = append(children, c)
		if err := c.keeper.Start(ctx); err != nil {
			return children, err
		}
	}
	for _, c := range children {
		if err := s.awaitReady(ctx, c); err != nil {
			return children, err
		}
	}
	return children, nil
}
