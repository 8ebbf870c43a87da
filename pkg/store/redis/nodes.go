package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// nodes runs scripts in one Redis, or in a Redis Cluster: there each node has a pipeline of its own, so that no call waits for
// another node's answer. A call that a node does not answer, or does not answer for now, goes on by itself.
type nodes struct {
	rdb     redis.UniversalClient
	cluster *redis.ClusterClient // rdb, if it is one's; else nil
	only    pipeline             // without a cluster

	mu   sync.Mutex           // guards what follows
	each map[string]*pipeline // by the node's address
}

func newNodes(rdb redis.UniversalClient) *nodes {
	cluster, _ := rdb.(*redis.ClusterClient)
	return &nodes{rdb: rdb, cluster: cluster, each: make(map[string]*pipeline)}
}

// run runs a script on the node that has the keys. When ctx ends it returns, at the latest after promptTime; then the outcome is
// unknown, and the call may happen later.
func (n *nodes) run(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	w := wait{ctx: ctx, began: time.Now()}
	defer w.over()
	for {
		cmd := n.shared(ctx, script, keys, args)
		err := cmd.Err()
		switch {
		case err == nil:
			return cmd
		case ctx.Err() != nil && !isReply(err):
			return abandoned(ctx)
		case errors.Is(err, errNotPrompt), errors.Is(err, errTakenOver):
			n.reload(ctx)
			continue
		case redis.HasErrorPrefix(err, "NOSCRIPT"): // Redis was restarted
			return n.alone(ctx, script, keys, args)
		case n.cluster == nil || isReply(err) && !isUnserved(err):
			return cmd
		case isReply(err):
			return n.alone(ctx, script, keys, args)
		}
		n.reload(ctx) // the node cannot be reached: a replica may take over
		if time.Since(w.began) > roundTripTime {
			return cmd
		}
		if err := w.pass("its Redis node does not answer"); err != nil {
			return failed(ctx, err)
		}
	}
}

// shared runs a script in the pipeline of the node that has the keys, for as long as that node has them.
func (n *nodes) shared(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	if n.cluster == nil {
		return n.only.run(ctx, n.rdb, script, keys, args, nil)
	}
	node, err := n.nodeOf(ctx, keys[0])
	if err != nil {
		return failed(ctx, err)
	}
	return n.pipelineTo(node).run(ctx, node, script, keys, args, func() bool {
		n.reload(ctx)
		now, err := n.nodeOf(ctx, keys[0])
		return err == nil && now != node
	})
}

// nodeOf returns the client of the node that has a key, as far as is known.
func (n *nodes) nodeOf(ctx context.Context, key string) (redis.UniversalClient, error) {
	if n.cluster == nil {
		return n.rdb, nil
	}
	return n.cluster.MasterForKey(ctx, key)
}

// reload makes a cluster's client ask which node has which slots: a replica may have taken over.
func (n *nodes) reload(ctx context.Context) {
	if n.cluster != nil {
		n.cluster.ReloadState(ctx)
	}
}

func (n *nodes) pipelineTo(node redis.UniversalClient) *pipeline {
	addr := node.(*redis.Client).Options().Addr
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.each[addr]
	if p == nil {
		p = new(pipeline)
		n.each[addr] = p
	}
	return p
}

// alone runs a script by itself.
func (n *nodes) alone(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	cmd, err := patiently(ctx, func(ctx context.Context) (*redis.Cmd, error) {
		cmd := script.Run(ctx, n.rdb, keys, args...)
		return cmd, cmd.Err()
	})
	if cmd == nil {
		return failed(ctx, err)
	}
	return cmd
}

// patiently makes a call, and makes it again while its slot is being moved or not served, until ctx ends. It gives the call a
// context that ends with ctx or after roundTripTime. With ctx's end it returns T's zero value.
func patiently[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	w := wait{ctx: ctx, began: time.Now()}
	defer w.over()
	for {
		result, err := unblocked(ctx, call)
		reason := passing(err)
		if reason == "" {
			return result, err
		}
		if err := w.pass(reason); err != nil {
			var none T
			return none, err
		}
	}
}

// unblocked makes a call and returns when it does or when ctx ends, which a client that waits for an answer does not notice.
func unblocked[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	returned := make(chan outcome, 1)
	go func() {
		limited, cancel := context.WithTimeout(ctx, roundTripTime)
		defer cancel()
		result, err := call(limited)
		returned <- outcome{result, err}
	}()
	select {
	case o := <-returned:
		return o.result, o.err
	case <-ctx.Done():
		var none T
		return none, abandoned(ctx).Err()
	}
}

// passing is the reason for an answer that is another one when a slot has been moved, or is served again; else "".
func passing(err error) string {
	switch {
	case err == nil:
		return ""
	case redis.IsTryAgainError(err):
		return "its slot is being moved to another Redis node"
	case redis.IsClusterDownError(err):
		return "the Redis Cluster does not serve its slot"
	}
	if _, moved := redis.IsMovedError(err); moved {
		return "the Redis nodes do not agree on the owner of its slot"
	}
	if _, asked := redis.IsAskError(err); asked {
		return "its slot is being moved to another Redis node"
	}
	return ""
}

// isUnserved tells whether a reply says that the node does not serve the slot, or not now.
func isUnserved(err error) bool {
	return passing(err) != "" || redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err)
}
