package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// loadingPoll is how often a Redis that loads its data is asked whether it is done.
const loadingPoll = 200 * time.Millisecond

// ConnectRedis connects to the Redis at address, HOST:PORT or a redis://, rediss:// or
// unix:// URL, and asks it for an answer. One that gives none is an error within 5 s
// that says where it was looked for, and no secret; flag is the one that named it. One that
// is loading its data is waited for, which the log tells.
func ConnectRedis(flag, address string, log *slog.Logger) (redis.UniversalClient, error) {
	opts, err := RedisOptions(address)
	if err != nil {
		return nil, fmt.Errorf("bad --%s=%s: %w", flag, maskRefused(address), err)
	}
	client := redis.NewClient(opts)
	err = ping(client)
	for told := false; redis.IsLoadingError(err); err = ping(client) {
		if !told {
			log.Warn("Redis is loading its data; waiting for it", "address", Mask(address))
			told = true
		}
		time.Sleep(loadingPoll)
	}
	if err == nil {
		return client, nil
	}
	_ = client.Close()
	switch {
	case redis.IsAuthError(err):
		return nil, fmt.Errorf("the Redis at %s refuses the login: %w: check user and password in --%s", Mask(address), err, flag)
	case redis.IsPermissionError(err):
		return nil, fmt.Errorf("the Redis at %s refuses a command: %w: docs/rights.md lists the commands that a worker needs; see --%s", Mask(address), err, flag)
	}
	return nil, fmt.Errorf("cannot reach Redis at %s: %w: is it running? see --%s", Mask(address), err, flag)
}

func ping(client redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return client.Ping(ctx).Err()
}

// errNotRedisURL takes the place of go-redis's errors, which quote what may be a part of a password.
var errNotRedisURL = errors.New("not a Redis URL: look at the database's number, the path and the options, and percent-encode special characters in the password")

// RedisOptions are those of a client of the Redis at address, HOST:PORT or a redis://, rediss:// or unix:// URL.
// An error quotes nothing of a password.
func RedisOptions(address string) (*redis.Options, error) {
	opts := &redis.Options{Addr: address}
	if strings.Contains(address, "://") {
		u, err := parseURL(address)
		if err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
			return nil, fmt.Errorf("want redis://, rediss:// or unix://, not %s://", u.Scheme)
		}
		if opts, err = redis.ParseURL(address); err != nil {
			return nil, errNotRedisURL
		}
	} else if _, port, err := net.SplitHostPort(address); err != nil && strings.Contains(address, ",") {
		return nil, errComma
	} else if err != nil || !isPort(port) || strings.Contains(address, "@") {
		return nil, errors.New("want HOST:PORT or a redis:// URL")
	}
	// Neither is known to every server of the Redis protocol.
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.ContextTimeoutEnabled = true // else a call outlives its context by the read timeout
	return opts, nil
}

// RedisReady is a readiness check: the server answers.
func RedisReady(client redis.UniversalClient) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := client.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("no answer from Redis: %w", err)
		}
		return nil
	}
}
