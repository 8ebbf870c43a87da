package redis

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// dialed is a hook of a client that receives after each new connection.
type dialed chan struct{}

// Reconnected implements store.Store. It receives also when the pool grows.
func (s *Store) Reconnected() <-chan struct{} {
	made := make(dialed, 1)
	s.rdb.AddHook(made)
	return made
}

// DialHook is redis.Hook's.
func (d dialed) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			select {
			case d <- struct{}{}:
			default:
			}
		}
		return conn, err
	}
}

// ProcessHook is redis.Hook's.
func (d dialed) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook is redis.Hook's.
func (d dialed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
