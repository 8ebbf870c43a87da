package main

import (
	"context"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
)

// libraries are those whose release matters to a peer.
var libraries = []string{
	"github.com/nats-io/nats.go",
	"github.com/redis/go-redis/v9",
	"github.com/go-redsync/redsync/v4",
	"github.com/ThreeDotsLabs/watermill",
	"github.com/ThreeDotsLabs/watermill-nats/v2",
	"github.com/rabbitmq/amqp091-go",
}

// versions asks the servers, and this program.
func (s *servers) versions(ctx context.Context) []version {
	all := []version{{"Go", runtime.Version()}, {"nats-server", "unknown"}, {"redis-server", "unknown"}}
	if nc, err := s.connect(); err == nil {
		all[1].Version = nc.ConnectedServerVersion()
		nc.Close()
	}
	rdb := s.redisClient()
	defer rdb.Close()
	if _, err := exec.LookPath("redis-server"); err != nil {
		all[2].Version = "none on PATH: miniredis, which keeps nothing on disk"
	} else if info, err := rdb.Info(ctx, "server").Result(); err == nil {
		all[2].Version = known(field(info, "redis_version"))
	}
	if s.rabbit != nil {
		all = append(all, version{"rabbitmq-server", known(s.rabbit.version)})
	}
	info, _ := debug.ReadBuildInfo() // there is always one in a program built from a module
	for _, m := range info.Deps {
		if slices.Contains(libraries, m.Path) {
			all = append(all, version{m.Path, m.Version})
		}
	}
	return all
}
