package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"example.com/lockstep/deployments/local/process"
)

// killLeader kills the NATS server that leads the work stream.
func (r *run) killLeader() fault {
	var leader string
	var was *process.Process
	return fault{
		inject: func(ctx context.Context) (what string, err error) {
			if leader, err = r.stack.NATSLeader(ctx); err != nil {
				return "", err
			}
			was, err = r.stack.Signal(leader, syscall.SIGKILL)
			return fmt.Sprintf("kill -9 %s, which leads the work stream", leader), err
		},
		recovered: func(ctx context.Context) error { return r.current(ctx, leader, was) },
	}
}

// cutFollower cuts a NATS server that does not lead off from its peers. Its clients stay connected to it.
func (r *run) cutFollower(s Step) fault {
	var follower string
	return fault{
		inject: func(ctx context.Context) (string, error) {
			leader, err := r.stack.NATSLeader(ctx)
			if err != nil {
				return "", err
			}
			followers := slices.DeleteFunc(theNATS(r.shape), func(name string) bool { return name == leader })
			follower = followers[rand.New(rand.NewPCG(r.seed, uint64(s.At))).IntN(len(followers))]
			for _, way := range r.links.peers(follower) {
				way.Down()
			}
			return fmt.Sprintf("%s, which follows %s, is cut off from its peers", follower, leader), nil
		},
		mend: func() error {
			for _, way := range r.links.peers(follower) {
				way.Up()
			}
			return nil
		},
		recovered: func(ctx context.Context) error {
			if err := r.current(ctx, follower, nil); err != nil {
				return err
			}
			return r.ready(ctx, everyone)
		},
	}
}

// rollServers ends one server after the other, and waits for each to be current again.
func (r *run) rollServers(names []string) fault {
	return fault{
		inject: func(context.Context) (string, error) {
			return "rolling restart of " + strings.Join(names, ", "), nil
		},
		recovered: func(ctx context.Context) error {
			for _, name := range names {
				was, err := r.stack.Signal(name, syscall.SIGTERM)
				if err != nil {
					return err
				}
				if err := r.current(ctx, name, was); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// current waits until a server of the cluster runs as another process than was, and all replicas are current.
func (r *run) current(ctx context.Context, name string, was *process.Process) error {
	if err := r.stack.AwaitReady(ctx, name, was); err != nil {
		return err
	}
	return r.stack.AwaitReplicas(ctx)
}
