package command

import (
	"errors"

	"example.com/lockstep/deployments/local/stack"
)

// NATSServer is the command that runs NATS as a process of its own, which can be killed. Package stack starts it.
type NATSServer struct {
	Port        int      `required:"" help:"Port to listen on, on loopback."`
	StoreDir    string   `required:"" help:"Directory of the streams."`
	Name        string   `help:"Name within a cluster. Default: no cluster."`
	ClusterPort int      `help:"Port for routes from the cluster's other servers, on loopback."`
	MonitorPort int      `help:"Port for monitoring, on loopback."`
	Route       []string `placeholder:"HOST:PORT" help:"Address of another server's cluster port; repeatable."`
}

// Validate is called by kong.
func (c *NATSServer) Validate() error {
	if c.Name != "" && (c.ClusterPort == 0 || c.MonitorPort == 0 || len(c.Route) == 0) {
		return errors.New("--name needs --cluster-port, --monitor-port and --route as well")
	}
	return nil
}

// Run serves until a signal stops it.
func (c *NATSServer) Run() error {
	l := NewLife(false)
	defer l.Stop()
	var node *stack.ClusterNode
	if c.Name != "" {
		node = &stack.ClusterNode{Name: c.Name, ClusterPort: c.ClusterPort, MonitorPort: c.MonitorPort, Routes: c.Route}
	}
	return stack.ServeNATS(l.Soft, c.Port, c.StoreDir, node)
}
