package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// nodeVariable holds a NATSNode as JSON where a test's binary is to be one.
const nodeVariable = "TESTKIT_NATS"

// clusterSize is how many servers a NATSCluster has: one may be lost.
const clusterSize = 3

// NATSCluster is a cluster of nats-servers. Each is a process, so that it can be killed.
type NATSCluster struct {
	Nodes [clusterSize]*NATSNode
}

// NATSNode is one server of a cluster. It keeps its ports and files over a restart, and tells clients of no other.
type NATSNode struct {
	Name     string
	Port     int // for clients, on 127.0.0.1
	Cluster  int // for the routes of the others
	Monitor  int // for questions by HTTP
	Routes   []int
	StoreDir string

	proc *process
}

// Main is to be called by TestMain of a package whose tests start a cluster: its servers are processes of the test's binary.
// In such a process it runs the server, and does not return.
func Main() {
	spec := os.Getenv(nodeVariable)
	if spec == "" {
		return
	}
	var n NATSNode
	if err := json.Unmarshal([]byte(spec), &n); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := server.NewServer(n.options())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s.Start()
	if !s.ReadyForConnections(readyTimeout) {
		fmt.Println("nats-server not ready")
		os.Exit(1)
	}
	fmt.Println(readyLine)
	s.WaitForShutdown()
	os.Exit(0)
}

func (n *NATSNode) options() *server.Options {
	o := &server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Port, JetStream: true, StoreDir: n.StoreDir, NoLog: true, HTTPHost: "127.0.0.1", HTTPPort: n.Monitor,
		Cluster: server.ClusterOpts{Name: "testkit", Host: "127.0.0.1", Port: n.Cluster, NoAdvertise: true},
	}
	for _, port := range n.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: "127.0.0.1:" + strconv.Itoa(port)})
	}
	return o
}

// StartNATSCluster starts a cluster for t. It returns when a stream of as many replicas as it has servers can be made.
func StartNATSCluster(t testing.TB) *NATSCluster {
	t.Helper()
	c := new(NATSCluster)
	for i := range c.Nodes {
		n := &NATSNode{Name: fmt.Sprintf("n%d", i+1), StoreDir: t.TempDir()}
		for _, port := range []*int{&n.Port, &n.Cluster, &n.Monitor} {
			var err error
			*port, err = freePort()
			require.NoError(t, err)
		}
		c.Nodes[i] = n
	}
	for _, n := range c.Nodes {
		for _, other := range c.Nodes {
			if other != n {
				n.Routes = append(n.Routes, other.Cluster)
			}
		}
	}
	for _, n := range c.Nodes {
		t.Cleanup(n.Kill)
		n.Start(t)
	}
	c.AwaitReplicas(t)
	return c
}

// AwaitReplicas waits until a stream of as many replicas as there are servers can be made, and deletes it.
func (c *NATSCluster) AwaitReplicas(t testing.TB) {
	t.Helper()
	js, err := jetstream.New(c.Nodes[0].Connect(t))
	require.NoError(t, err)
	cfg := jetstream.StreamConfig{Name: "testkit", Subjects: []string{"testkit"}, Replicas: clusterSize}
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := js.CreateStream(ctx, cfg)
		return err == nil
	}, 3*readyTimeout, 50*time.Millisecond, "the cluster makes no stream")
	require.NoError(t, js.DeleteStream(context.Background(), cfg.Name))
}

// Leader returns the server that makes streams and consumers.
func (c *NATSCluster) Leader(t testing.TB) *NATSNode {
	t.Helper()
	var jsz struct {
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"meta_cluster"`
	}
	answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(c.Nodes[0].Monitor) + "/jsz")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&jsz))
	for _, n := range c.Nodes {
		if n.Name == jsz.Cluster.Leader {
			return n
		}
	}
	require.Fail(t, "the cluster has no leader")
	return nil
}

// Roles tells the servers apart: home, for the test's clients; maker, which makes streams and consumers, so that for seconds
// after its end there are no new ones; and spare, which leads nothing yet.
func (c *NATSCluster) Roles(t testing.TB) (home, spare, maker *NATSNode) {
	t.Helper()
	maker = c.Leader(t)
	var others []*NATSNode
	for _, n := range c.Nodes {
		if n != maker {
			others = append(others, n)
		}
	}
	return others[0], others[1], maker
}

// Start starts the server, again if it was killed.
func (n *NATSNode) Start(t testing.TB) {
	t.Helper()
	spec, err := json.Marshal(n)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), nodeVariable+"="+string(spec))
	p := start(cmd)
	select {
	case <-p.ready:
	case <-p.exited:
		require.NoError(t, fmt.Errorf("nats-server ended: %w\n%s", p.err, p.output.String()))
	}
	n.proc = p
}

// Kill ends the server as a crash does (SIGKILL) and waits for its end. Twice does no harm.
func (n *NATSNode) Kill() {
	if n.proc != nil {
		n.proc.end(syscall.SIGKILL)
		n.proc = nil
	}
}

// URL is for clients.
func (n *NATSNode) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(n.Port) }

// Connect opens a connection to this server alone, which is closed when t ends.
func (n *NATSNode) Connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return n.clients().Connect(t, opts...)
}

// Clients returns a NATSServer that connects to this server alone. Its Server is nil: the server is another process.
func (n *NATSNode) Clients(t testing.TB) *NATSServer {
	t.Helper()
	s := n.clients()
	s.Conn = s.Connect(t)
	return s
}

func (n *NATSNode) clients() *NATSServer { return &NATSServer{URL: n.URL(), opts: &server.Options{}} }
