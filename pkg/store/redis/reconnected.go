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
	cluster, is := s.rdb.(*redis.ClusterClient)
	if !is {
		s.rdb.AddHook(made)
		return made
	}
	// Each node has connections of its own. A node that cannot be listed now counts as new later.
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(made) })
	ctx, cancel := context.WithTimeout(context.Background(), promptTime)
	defer cancel()
	_ = cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		node.AddHook(made)
		return nil
	})
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
