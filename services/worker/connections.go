package main

import (
	"log/slog"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

// connections are what a worker's parts use. They are open before the parts are made and until all have stopped.
type connections struct {
	nats  *nats.Conn
	state redis.UniversalClient
	locks []redis.UniversalClient
}

// connect opens the connections: to each address of locks one. When it fails it leaves none open.
func connect(cfg service.Config, name, state string, locks []string, log *slog.Logger) (_ *connections, err error) {
	c := new(connections)
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.nats, err = service.ConnectNATS(cfg, name, log); err != nil {
		return nil, err
	}
	if c.state, err = redisconn.Connect("redis", state, log); err != nil {
		return nil, err
	}
	for _, address := range locks {
		lock, err := redisconn.Connect("lock-redis", address, log)
		if err != nil {
			return nil, err
		}
		c.locks = append(c.locks, lock)
	}
	return c, nil
}

func (c *connections) close() {
	for _, lock := range c.locks {
		_ = lock.Close()
	}
	if c.state != nil {
		_ = c.state.Close()
	}
	if c.nats != nil {
		c.nats.Close()
	}
}
