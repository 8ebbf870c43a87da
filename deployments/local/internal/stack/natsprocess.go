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

	"example.com/lockstep/deployments/local/internal/process"
	"example.com/lockstep/deployments/local/internal/stackdir"
)

// natsProcess is the NATS server as a child, which can be killed.
type natsProcess struct {
	stack  *Stack
	port   int
	keeper *process.Keeper
}

func (n *natsProcess) url() string { return "nats://" + localAddress(n.port) }

func (n *natsProcess) start(ctx context.Context) error {
	n.keeper = process.NewKeeper(n.stack.starter, process.Events{
		Spec: n.spec,
		Started: func(p *process.Process) {
			n.stack.childStarted(stackdir.Process{Name: stackdir.RoleNATS, Role: stackdir.RoleNATS, PID: p.PID()}, p)
		},
		Ended: func(why string, wait time.Duration) { n.stack.childEnded(stackdir.RoleNATS, why, wait) },
	})
	if err := n.keeper.Start(ctx); err != nil {
		return err
	}
	return n.stack.await(ctx, stackdir.RoleNATS, n.answers)
}

// spec keeps port and data over restarts.
func (n *natsProcess) spec() process.Spec {
	return process.Spec{
		Name: stackdir.RoleNATS,
		Path: n.stack.cfg.NATSProgram,
		Args: []string{"nats-server", "--port=" + strconv.Itoa(n.port), "--store-dir=" + n.stack.dir.Path(stackdir.NATSDir)},
		Log:  n.stack.dir.Path(stackdir.LogsDir, "nats.log"),
	}
}

// answers connects once: the server is up when JetStream answers.
func (n *natsProcess) answers(ctx context.Context) error {
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
		return fmt.Errorf("nats %w", err)
	}
	return nil
}

// ServeNATS runs the stack's NATS server in this process until ctx ends. It logs to standard output.
func ServeNATS(ctx context.Context, port int, storeDir string) error {
	s, err := newNATS(port, storeDir, &natsLog{file: os.Stdout})
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return nil
}

// freeNATSPort is a port in place of server.RANDOM_PORT, for a server that must find it again.
func freeNATSPort(port int) (int, error) {
	if port != server.RANDOM_PORT {
		return port, nil
	}
	addresses, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	_, found, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found)
}
