package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/topology"
)

// clusterSize is how many servers a NATS cluster has. It works while two of them do.
const clusterSize = 3

// natsCluster is NATS as several processes that replicate.
type natsCluster struct{ nodes []*natsProcess }

func (c *natsCluster) url() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url())
	}
	return strings.Join(urls, ",")
}

func (c *natsCluster) stop(ctx context.Context) error {
	errs := make([]error, len(c.nodes))
	var all sync.WaitGroup
	for i, n := range c.nodes {
		all.Go(func() { errs[i] = n.stop(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// startNATSCluster starts all servers before it waits for one: none is ready before a majority runs.
func (s *Stack) startNATSCluster(ctx context.Context) error {
	cluster, err := s.newNATSCluster()
	if err != nil {
		return err
	}
	s.nats = cluster
	for _, n := range cluster.nodes {
		if err := n.launch(ctx); err != nil {
			return err
		}
	}
	for _, n := range cluster.nodes {
		if err := s.await(ctx, n.name, n.answers); err != nil {
			return err
		}
	}
	return s.await(ctx, "the NATS cluster", cluster.formed)
}

// formed returns an error unless one server leads all and counts every other one as there. Before that NATS makes no stream that has
// a replica on each.
func (c *natsCluster) formed(ctx context.Context) error {
	for _, n := range c.nodes {
		body, err := n.node.monitor(ctx, "/jsz")
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		var is struct {
			Meta struct {
				Leader   string
				Replicas []struct {
					Name             string
					Current, Offline bool
				}
			} `json:"meta_cluster"`
		}
		if err := json.Unmarshal(body, &is); err != nil {
			return fmt.Errorf("read what %s leads: %w", n.name, err)
		}
		if is.Meta.Leader != n.name {
			continue
		}
		if len(is.Meta.Replicas) < len(c.nodes)-1 {
			return fmt.Errorf("%s knows %d of %d other servers", n.name, len(is.Meta.Replicas), len(c.nodes)-1)
		}
		for _, other := range is.Meta.Replicas {
			if other.Offline || !other.Current {
				return fmt.Errorf("%s does not count %s as there", n.name, other.Name)
			}
		}
		return nil
	}
	return errors.New("no server leads the others")
}

func (s *Stack) newNATSCluster() (*natsCluster, error) {
	ports, err := freeNATSPorts(3 * s.cfg.NATSServers)
	if err != nil {
		return nil, err
	}
	c := new(natsCluster)
	for i := range s.cfg.NATSServers {
		name := ServiceName(stackfile.RoleNATS, i)
		c.nodes = append(c.nodes, &natsProcess{
			stack: s, name: name, port: ports[3*i], storeDir: s.dir.Path(stackdir.NATSDir, name),
			node: &ClusterNode{Name: name, ClusterPort: ports[3*i+1], MonitorPort: ports[3*i+2]},
		})
	}
	for _, from := range c.nodes {
		for _, to := range c.nodes {
			if from == to {
				continue
			}
			route, err := s.cfg.Via(from.name, to.name, localAddress(to.node.ClusterPort))
			if err != nil {
				return nil, err
			}
			from.node.Routes = append(from.node.Routes, route)
		}
	}
	return c, nil
}

// ClusterNode is what a NATS server knows of its cluster.
type ClusterNode struct {
	Name        string
	ClusterPort int      // for the routes of the others
	MonitorPort int      // for its state of health
	Routes      []string // host:port at which the others take routes
}

func (n *ClusterNode) flags() []string {
	flags := []string{"--name=" + n.Name, "--cluster-port=" + strconv.Itoa(n.ClusterPort), "--monitor-port=" + strconv.Itoa(n.MonitorPort)}
	for _, route := range n.Routes {
		flags = append(flags, "--route="+route)
	}
	return flags
}

// nowhere is the address that a server advertises for routes. Its peers pass an advertised address on, and servers open
// routes to it: with a true one they would go around the address that Config.Via has chosen.
const nowhere = "127.0.0.1:1"

// apply makes the server a member of the cluster. Routes and clients use only the addresses that they are given.
func (n *ClusterNode) apply(o *server.Options) error {
	o.ServerName = n.Name
	o.HTTPHost, o.HTTPPort = o.Host, n.MonitorPort
	o.Cluster = server.ClusterOpts{Name: "local", Host: o.Host, Port: n.ClusterPort, Advertise: nowhere, NoAdvertise: true}
	for _, route := range n.Routes {
		u, err := url.Parse("nats-route://" + route)
		if err != nil {
			return fmt.Errorf("bad --route=%s: want HOST:PORT", route)
		}
		o.Routes = append(o.Routes, u)
	}
	return nil
}

// healthy asks the server whether it has routes to all others and whether its replicas are current. The second alone does
// not do: a server that was cut off believes for some time that it is current.
func (n *ClusterNode) healthy(ctx context.Context) error {
	body, err := n.monitor(ctx, "/routez")
	if err != nil {
		return err
	}
	var is struct {
		Routes []struct {
			RemoteID string `json:"remote_id"`
		} `json:"routes"`
	}
	if err := json.Unmarshal(body, &is); err != nil {
		return fmt.Errorf("read its routes: %w", err)
	}
	others := map[string]bool{}
	for _, route := range is.Routes {
		others[route.RemoteID] = true
	}
	if len(others) < len(n.Routes) {
		return fmt.Errorf("routes to %d of %d other servers", len(others), len(n.Routes))
	}
	_, err = n.monitor(ctx, "/healthz")
	return err
}

func (n *ClusterNode) monitor(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+localAddress(n.MonitorPort)+path, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, errors.New("monitor port does not answer")
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(strings.Join(strings.Fields(string(body)), " "))
	}
	return body, nil
}

// NATSLeader returns the name of the server that leads the work stream of the first lane, once there is one.
func (s *Stack) NATSLeader(ctx context.Context) (leader string, err error) {
	err = s.await(ctx, "the work stream", func(ctx context.Context) error {
		epoch, err := s.Epoch(ctx)
		if err != nil {
			return err
		}
		return s.withJetStream(func(js jetstream.JetStream) error {
			group, err := raftGroup(ctx, js, topology.StreamName(s.cfg.App, epoch.Epoch, 0))
			if err == nil {
				leader = group.Leader
			}
			return err
		})
	})
	return leader, err
}

// AwaitReplicas waits until every stream of the cluster has a leader and no replica lags: then another server may fail.
func (s *Stack) AwaitReplicas(ctx context.Context) error {
	return s.await(ctx, "the NATS cluster", func(ctx context.Context) error {
		return s.withJetStream(func(js jetstream.JetStream) error {
			streams := js.StreamNames(ctx)
			for name := range streams.Name() {
				group, err := raftGroup(ctx, js, name)
				if err != nil {
					return err
				}
				for _, replica := range group.Replicas {
					if !replica.Current || replica.Offline {
						return fmt.Errorf("the replica of stream %s on %s lags", name, replica.Name)
					}
				}
			}
			return streams.Err()
		})
	})
}

// raftGroup returns the servers that keep a stream. It is an error if the stream has no leader.
func raftGroup(ctx context.Context, js jetstream.JetStream, stream string) (*jetstream.ClusterInfo, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	group := s.CachedInfo().Cluster
	if group == nil || group.Leader == "" {
		return nil, fmt.Errorf("stream %s has no leader", stream)
	}
	return group, nil
}

func (s *Stack) withJetStream(ask func(jetstream.JetStream) error) error {
	nc, err := nats.Connect(s.nats.url(), nats.Name("local cluster"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return ask(js)
}
