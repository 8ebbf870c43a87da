// Package example gives runnable examples, which have no testing.T, the servers and programs that they cross.
package example

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/topology"
)

// readyTimeout bounds how long NATS may take to start.
const readyTimeout = 20 * time.Second

// Discard is a log that nobody reads.
var Discard = slog.New(slog.DiscardHandler)

// Servers are a NATS server with JetStream and a Redis, both in this process, and what was started on them.
type Servers struct {
	URL   string // of NATS
	NATS  *nats.Conn
	Redis *redis.Client
	ends  []func()
}

// Start starts them. A failure ends the process: an example has no other way to fail early.
func Start() *Servers {
	s := new(Servers)
	dir, err := os.MkdirTemp("", "example-")
	Check(err)
	s.atEnd(func() { Check(os.RemoveAll(dir)) })
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	Check(err)
	ns.Start()
	s.atEnd(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(readyTimeout) {
		Check(errors.New("nats-server is not ready"))
	}
	s.URL = ns.ClientURL()
	mini, err := miniredis.Run()
	Check(err)
	s.atEnd(mini.Close)
	s.Redis = redis.NewClient(&redis.Options{Addr: mini.Addr(), ContextTimeoutEnabled: true})
	s.atEnd(func() { Check(s.Redis.Close()) })
	s.NATS, err = publish.Dial(s.URL)
	Check(err)
	s.atEnd(s.NATS.Close)
	return s
}

// Run starts a router of an app with four shards, and a worker with a handler. It returns once events are taken.
func (s *Servers) Run(app string, handler consume.Handler) {
	router, err := route.New(s.NATS, route.Config{App: app, Initial: Initial(), Log: Discard})
	s.start(router, err)
	locker, err := lease.New(lease.Config{App: app}, s.Redis)
	Check(err)
	worker, err := consume.New(s.NATS, consume.Config{
		App: app, Name: "worker-1", Handler: handler, Locker: group.Leases(locker), Log: Discard,
		Store: func(topology string) store.Store { return redisstore.New(s.Redis, app, topology) },
	})
	s.start(worker, err)
}

// Initial is a topology of four shards.
func Initial() topology.Initial {
	return topology.Initial{Shards: 4, Log: topology.Log{Replicas: 1, MaxBytes: 64 << 20}}
}

// start starts a part, given the error of its constructor, until Stop.
func (s *Servers) start(part lifecycle.Part, err error) {
	Check(err)
	Check(part.Start(context.Background()))
	s.atEnd(func() { Check(part.Stop(context.Background())) })
}

func (s *Servers) atEnd(do func()) { s.ends = append(s.ends, do) }

// Stop ends what was started, the last one first.
func (s *Servers) Stop() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// Check ends the process if there is an error.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
