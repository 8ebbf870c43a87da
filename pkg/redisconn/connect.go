// Package redisconn connects a service to its Redis servers: the flags that name them, the first answer, readiness. A Redis is one
// server, a master that Sentinels watch, or a Redis Cluster (form.go says which address means which).
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"example.com/lockstep/pkg/address"
	"github.com/redis/go-redis/v9"
)

const (
	// connectTimeout bounds how long Connect waits for the first answer.
	connectTimeout = 4 * time.Second
	// loadingPoll is how often a Redis that loads its data is asked whether it is done.
	loadingPoll = 200 * time.Millisecond
)

// Connect connects to the Redis at an address (see Check) and asks it for an answer. If none comes it returns an error within 5 s
// that names the address, without secrets, and flag, which named it. It waits for a Redis that is loading its data, and logs that.
func Connect(flag, server string, log *slog.Logger) (redis.UniversalClient, error) {
	how, err := parse(server)
	if err != nil {
		return nil, fmt.Errorf("bad --%s=%s: %w", flag, address.MaskRefused(server), err)
	}
	ctx := context.Background()
	client, err := how.connect(ctx, server)
	for told := false; redis.IsLoadingError(err); client, err = how.connect(ctx, server) {
		if !told {
			log.Warn("Redis is loading its data; waiting for it", "address", address.Mask(server))
			told = true
		}
		time.Sleep(loadingPoll)
	}
	if err != nil {
		return nil, how.explained(flag, address.Mask(server), err)
	}
	if cluster, is := client.(*redis.ClusterClient); is {
		masters, _ := masterCount(ctx, cluster)
		log.Info("connected to a Redis Cluster", "address", address.Mask(server), "masters", masters)
	}
	return client, nil
}

// Reach returns an error unless a Redis answers at an address at once.
func Reach(ctx context.Context, server string) error {
	how, err := parse(server)
	if err != nil {
		return err
	}
	if how.one != nil {
		how.one.MaxRetries, how.one.DialerRetries = -1, 1
	}
	client, err := how.connect(ctx, server)
	if err != nil {
		return oneLine(err)
	}
	return client.Close()
}

// connect makes a client and waits for its first answer, for at most connectTimeout.
func (f *form) connect(ctx context.Context, server string) (redis.UniversalClient, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	switch {
	case f.sentinel != nil:
		return answering(ctx, redis.NewFailoverClient(f.sentinel))
	case f.cluster != nil:
		return answering(ctx, newCluster(f.cluster))
	}
	one, err := answering(ctx, redis.NewClient(f.one))
	if err != nil {
		return nil, err
	}
	mode, err := redisMode(ctx, one)
	if err == nil && mode == "" {
		return one, nil
	}
	_ = one.Close()
	switch {
	case err != nil:
		return nil, err
	case mode == "sentinel":
		return nil, errIsSentinel
	case f.one.Network == "unix":
		return nil, errSocketOfCluster
	}
	u, err := urlOf(server)
	if err != nil {
		return nil, err
	}
	node, err := parseCluster(u)
	if err != nil {
		return nil, err
	}
	return answering(ctx, newCluster(node.cluster))
}

// Errors of servers that are something else than their address says.
var (
	errIsSentinel      = errors.New("it is a Sentinel: add ?master_name= with the name of the master that it watches")
	errSocketOfCluster = errors.New("it is a node of a Redis Cluster, whose other nodes are reached by redis://HOST:PORT only")
)

// answering returns a client whose server answers, else it closes the client.
func answering(ctx context.Context, client redis.UniversalClient) (redis.UniversalClient, error) {
	if err := ping(ctx, client); err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

func ping(ctx context.Context, client redis.UniversalClient) error {
	if cluster, is := client.(*redis.ClusterClient); is {
		return pingAny(ctx, cluster)
	}
	return client.Ping(ctx).Err()
}

// redisMode returns "cluster" or "sentinel" if a server is a node of a cluster or a Sentinel, else "". (Some stand-ins for Redis do
// not say.)
func redisMode(ctx context.Context, client redis.UniversalClient) (string, error) {
	info, err := client.Info(ctx).Result()
	for line := range strings.Lines(info) {
		if mode, is := strings.CutPrefix(strings.TrimSpace(line), "redis_mode:"); is && mode != "standalone" {
			return mode, err
		}
	}
	return "", err
}

// explained says what may be wrong.
func (f *form) explained(flag, at string, err error) error {
	err = oneLine(err)
	switch {
	case redis.IsAuthError(err):
		return fmt.Errorf("the Redis at %s refuses the login: %w: check user and password in --%s", at, err, flag)
	case redis.IsPermissionError(err):
		return fmt.Errorf("the Redis at %s refuses a command: %w: docs/rights.md lists the commands that a worker needs; see --%s", at, err, flag)
	case errors.Is(err, errIsSentinel), errors.Is(err, errSocketOfCluster):
		return fmt.Errorf("bad --%s=%s: %w", flag, at, err)
	case redis.HasErrorPrefix(err, "SELECT is not allowed in cluster mode"):
		return fmt.Errorf("bad --%s=%s: %w", flag, at, errDatabase)
	case f.sentinel != nil && errors.Is(err, redis.Nil):
		return fmt.Errorf("bad --%s=%s: the Sentinels watch no master of the name %q", flag, at, f.sentinel.MasterName)
	case f.cluster != nil && strings.Contains(err.Error(), "cluster support disabled"):
		return fmt.Errorf("bad --%s=%s: several addresses mean a Redis Cluster, and these servers are none: name one server, "+
			"or Sentinels by ?master_name=", flag, at)
	case f.sentinel != nil:
		return fmt.Errorf("cannot reach the master %q through the Sentinels at %s: %w: do they watch it, and does it run? see --%s",
			f.sentinel.MasterName, at, err, flag)
	}
	return fmt.Errorf("cannot reach Redis at %s: %w: is it running? see --%s", at, err, flag)
}

// oneLine makes one line of an error that joins several.
func oneLine(err error) error {
	if !strings.Contains(err.Error(), "\n") {
		return err
	}
	return &flat{err}
}

type flat struct{ error }

func (f *flat) Error() string { return strings.ReplaceAll(f.error.Error(), "\n", "; ") }
func (f *flat) Unwrap() error { return f.error }

// ConnectAll connects to the Redis at each of the servers' addresses, or to none.
func ConnectAll(flag string, servers []string, log *slog.Logger) ([]redis.UniversalClient, error) {
	clients := make([]redis.UniversalClient, 0, len(servers))
	for _, server := range servers {
		client, err := Connect(flag, server, log)
		if err != nil {
			Close(clients...)
			return nil, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// Close closes clients.
func Close(clients ...redis.UniversalClient) {
	for _, client := range clients {
		_ = client.Close() // fails only if it is closed already
	}
}

// Ready is a readiness check: the server answers, of a cluster one master.
func Ready(client redis.UniversalClient) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := ping(ctx, client); err != nil {
			return fmt.Errorf("no answer from Redis: %w", oneLine(err))
		}
		return nil
	}
}

// SilenceLog drops the lines that go-redis writes to standard error for every failed dial: the same failure reaches its
// caller as an error. A program calls it before it makes its first client.
func SilenceLog() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
