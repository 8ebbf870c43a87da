package redisconn

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// newCluster makes a client of a Redis Cluster that looks for the slots' owners after each call that was not answered. By itself
// it would look once a minute, and call a dead master until then.
func newCluster(opts *redis.ClusterOptions) *redis.ClusterClient {
	client := redis.NewClusterClient(opts)
	client.AddHook(rediscovery{client})
	return client
}

// rediscovery is a hook of a cluster's client.
type rediscovery struct{ client *redis.ClusterClient }

func (r rediscovery) after(ctx context.Context, err error) error {
	var reply redis.Error
	if err != nil && !errors.As(err, &reply) {
		r.client.ReloadState(ctx) // at most five times a second, and beside the calls
	}
	return err
}

// DialHook is redis.Hook's.
func (r rediscovery) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook is redis.Hook's.
func (r rediscovery) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return r.after(ctx, next(ctx, cmd)) }
}

// ProcessPipelineHook is redis.Hook's.
func (r rediscovery) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return r.after(ctx, next(ctx, cmds)) }
}

// pingAny returns nil when the first master of a cluster answers: while one is down, the others' shards go on.
func pingAny(ctx context.Context, cluster *redis.ClusterClient) error {
	answered, asked := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		asked <- cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			err := node.Ping(ctx).Err()
			if err == nil {
				select {
				case answered <- struct{}{}:
				default:
				}
			}
			return err
		})
	}()
	select {
	case <-answered:
		return nil
	case err := <-asked:
		select {
		case <-answered:
			return nil
		default:
			return err
		}
	}
}

// masterCount is how many masters a cluster has.
func masterCount(ctx context.Context, cluster *redis.ClusterClient) (int64, error) {
	var n atomic.Int64
	err := cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error {
		n.Add(1)
		return nil
	})
	return n.Load(), err
}
