package cli

import "example.com/lockstep/deployments/local/internal/stack"

type natsServer struct {
	Port     int    `required:"" help:"Port to listen on, on loopback."`
	StoreDir string `required:"" help:"Directory of the streams."`
}

// Run serves until it is told to stop.
func (c *natsServer) Run(*environment) error {
	l := newLife(false)
	defer l.stop()
	return stack.ServeNATS(l.soft, c.Port, c.StoreDir)
}
