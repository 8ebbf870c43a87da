package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// service is what a stack runs of an app: a router, a worker or an API.
type service struct {
	name    string // of the process
	role    string
	app     string
	program string
	flags   []string
}

// startRouters comes before the others: the routers create the topologies that the workers read.
func (s *Stack) startRouters(ctx context.Context) (err error) {
	flags := []string{fmt.Sprintf("--shards=%d", s.cfg.Shards), "--lanes=" + s.cfg.Lanes}
	if s.cfg.NATSServers > 1 {
		flags = append(flags, fmt.Sprintf("--replicas=%d", s.cfg.NATSServers))
	}
	flags = append(flags, s.cfg.RouterFlags...)
	var routers []service
	for _, a := range s.apps {
		for i := range s.cfg.Routers {
			routers = append(routers, service{a.process(stackfile.RoleRouter, i), stackfile.RoleRouter, a.Name, a.Router, flags})
		}
	}
	s.routers, err = s.startServices(ctx, routers)
	return err
}

// startWorkers gives Config.WorkerFlags to those of the first app: other handlers may have other flags.
func (s *Stack) startWorkers(ctx context.Context) (err error) {
	var workers []service
	for _, a := range s.apps {
		for i := range s.cfg.Workers {
			w := service{a.process(stackfile.RoleWorker, i), stackfile.RoleWorker, a.Name, a.Worker, nil}
			w.flags = []string{"--name=" + w.name}
			if a.first {
				w.flags = slices.Concat(s.cfg.WorkerFlags, w.flags)
			}
			workers = append(workers, w)
		}
	}
	s.workers, err = s.startServices(ctx, workers)
	return err
}

func (s *Stack) startAPIs(ctx context.Context) (err error) {
	var apis []service
	for _, a := range s.apps {
		for _, program := range a.APIs {
			apis = append(apis, service{apiProcess(program), stackfile.RoleAPI, a.Name, program, nil})
		}
	}
	s.apis, err = s.startServices(ctx, apis)
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

// usualHTTPPort is that of the first API. The others have those after it.
const usualHTTPPort = 8080

// httpAddress returns where the API takes requests that has the place i among its kind: at its usual port, or if that is taken at another.
func httpAddress(i int, other string) string {
	if usual := fmt.Sprintf("127.0.0.1:%d", usualHTTPPort+i); isFree(usual) {
		return usual
	}
	return other
}

// startServices starts services side by side and waits until all are ready.
func (s *Stack) startServices(ctx context.Context, services []service) ([]*child, error) {
	addresses, err := freePorts(2 * len(services))
	if err != nil {
		return nil, err
	}
	var children []*child
	for i, one := range services {
		env, err := s.serverEnv(one.name, one.role)
		if err != nil {
			return children, err
		}
		one.flags = slices.Concat([]string{"--app=" + one.app, "--log-format=text", "--pprof"}, one.flags)
		c := newChild(s, one, env, addresses[2*i])
		if one.role == stackfile.RoleAPI {
			c.http = httpAddress(i, addresses[2*i+1])
		}
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
