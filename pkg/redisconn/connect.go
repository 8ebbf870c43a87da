// Package redisconn connects a service to its Redis servers: the flags that name them, the first answer, readiness.
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/pkg/address"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// connectTimeout bounds how long Connect waits for the first answer.
	connectTimeout = 4 * time.Second
	// loadingPoll is how often a Redis that loads its data is asked whether it is done.
	loadingPoll = 200 * time.Millisecond
)

// Connect connects to the Redis at a server's address, HOST:PORT or a redis://, rediss:// or unix:// URL, and asks it for an
// answer. If none comes it returns an error within 5 s that names the address, without secrets, and flag, which named it.
// It waits for a Redis that is loading its data, and logs that.
func Connect(flag, server string, log *slog.Logger) (redis.UniversalClient, error) {
	opts, err := Options(server)
	if err != nil {
		return nil, fmt.Errorf("bad --%s=%s: %w", flag, address.MaskRefused(server), err)
	}
	client := redis.NewClient(opts)
	err = ping(client)
	for told := false; redis.IsLoadingError(err); err = ping(client) {
		if !told {
			log.Warn("Redis is loading its data; waiting for it", "address", address.Mask(server))
			told = true
		}
		time.Sleep(loadingPoll)
	}
	if err == nil {
		return client, nil
	}
	_ = client.Close()
	at := address.Mask(server)
	switch {
	case redis.IsAuthError(err):
		return nil, fmt.Errorf("the Redis at %s refuses the login: %w: check user and password in --%s", at, err, flag)
	case redis.IsPermissionError(err):
		return nil, fmt.Errorf("the Redis at %s refuses a command: %w: docs/rights.md lists the commands that a worker needs; see --%s", at, err, flag)
	}
	return nil, fmt.Errorf("cannot reach Redis at %s: %w: is it running? see --%s", at, err, flag)
}

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

func ping(client redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return client.Ping(ctx).Err()
}

// errNotRedisURL takes the place of go-redis's errors, which quote parts of an address, and so of its password.
var errNotRedisURL = errors.New("not a Redis URL: look at the database's number, the path and the options, " +
	"and percent-encode special characters in the password")

// Options returns the options of a client of the Redis at a server's address, HOST:PORT or a redis://, rediss:// or unix://
// URL. An error quotes nothing of a password.
func Options(server string) (*redis.Options, error) {
	opts := &redis.Options{Addr: server}
	if strings.Contains(server, "://") {
		u, err := address.Parse(server)
		if err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
			return nil, fmt.Errorf("want redis://, rediss:// or unix://, not %s://", u.Scheme)
		}
		if opts, err = redis.ParseURL(server); err != nil {
			return nil, errNotRedisURL
		}
	} else if _, port, err := net.SplitHostPort(server); err != nil && strings.Contains(server, ",") {
		return nil, address.ErrComma
	} else if err != nil || !address.IsPort(port) || strings.Contains(server, "@") {
		return nil, errors.New("want HOST:PORT or a redis:// URL")
	}
	// Not every server of the Redis protocol knows these two.
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.ContextTimeoutEnabled = true // else a call outlives its context by the read timeout
	return opts, nil
}

// Ready is a readiness check: the server answers.
func Ready(client redis.UniversalClient) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := client.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("no answer from Redis: %w", err)
		}
		return nil
	}
}

// SilenceLog drops the lines that go-redis writes to standard error for every failed dial: the same failure reaches its
// caller as an error. A program calls it before it makes its first client.
func SilenceLog() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
