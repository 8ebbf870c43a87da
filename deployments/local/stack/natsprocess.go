package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
)

// natsProcess is a NATS server as a child, which can be killed.
type natsProcess struct {
	stack    *Stack
	name     string
	port     int
	storeDir string
	node     *ClusterNode // nil outside a cluster
	keeper   *process.Keeper
}

func (n *natsProcess) url() string           { return "nats://" + localAddress(n.port) }
func (n *natsProcess) called() string        { return n.name }
func (n *natsProcess) kept() *process.Keeper { return n.keeper }

func (n *natsProcess) start(ctx context.Context) error {
	if err := n.launch(ctx); err != nil {
		return err
	}
	return n.stack.await(ctx, n.name, n.answers)
}

func (n *natsProcess) launch(ctx context.Context) error {
	n.keeper = process.NewKeeper(n.stack.starter, process.Events{
		Spec: n.spec,
		Started: func(p *process.Process) {
			n.stack.childStarted(stackfile.Process{Name: n.name, Role: stackfile.RoleNATS, PID: p.PID()}, p)
		},
		Ended: func(_ *process.Process, why string, wait time.Duration) { n.stack.childEnded(n.name, why, wait) },
	})
	return n.keeper.Start(ctx)
}

// spec is the same for every start: the server keeps its ports and data.
func (n *natsProcess) spec() process.Spec {
	args := []string{"nats-server", "--port=" + strconv.Itoa(n.port), "--store-dir=" + n.storeDir}
	if n.node != nil {
		args = append(args, n.node.flags()...)
	}
	return process.Spec{
		Name: n.name,
		Path: n.stack.cfg.NATSProgram,
		Args: args,
		Log:  n.stack.dir.Path(stackdir.LogsDir, n.name+".log"),
	}
}

// answers asks once: a cluster's server reports its own health; a single server is up when JetStream answers.
func (n *natsProcess) answers(ctx context.Context) error {
	if n.node != nil {
		return n.node.healthy(ctx)
	}
	nc, err := nats.Connect(n.url(), nats.Name("local ready"), nats.Timeout(askTimeout))
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.RequestWithContext(ctx, "$JS.API.INFO", nil)
	return err
}

func (n *natsProcess) stop(ctx context.Context) error {
	if n.keeper == nil {
		return nil
	}
	if err := n.keeper.Stop(ctx); err != nil {
		return fmt.Errorf("%s %w", n.name, err)
	}
	return nil
}

// ServeNATS runs a NATS server of the stack in this process until ctx ends. It logs to standard output.
func ServeNATS(ctx context.Context, port int, storeDir string, node *ClusterNode) error {
	options := natsOptions(port, storeDir)
	if node != nil {
		if err := node.apply(options); err != nil {
			return err
		}
	}
	s, err := newNATS(options, &natsLog{file: os.Stdout})
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return nil
}

// freeNATSPort replaces server.RANDOM_PORT by a free port that the server can take again after a restart.
func freeNATSPort(port int) (int, error) {
	if port != server.RANDOM_PORT {
		return port, nil
	}
	ports, err := freeNATSPorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

func freeNATSPorts(n int) (ports []int, err error) {
	addresses, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		_, found, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		port, err := strconv.Atoi(found)
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
