package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ConnectRedis connects to the Redis at address, HOST:PORT or a redis://, rediss:// or
// unix:// URL, and asks it for an answer. One that gives none is an error within 5 s
// that says where it was looked for, and no secret.
func ConnectRedis(address string) (redis.UniversalClient, error) {
	opts, err := redisOptions(address)
	if err != nil {
		return nil, fmt.Errorf("bad --redis=%s: %w", Mask(address), err)
	}
	client := redis.NewClient(opts)
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("cannot reach Redis at %s: %w: is it running? see --redis", Mask(address), err)
	}
	return client, nil
}

func redisOptions(address string) (*redis.Options, error) {
	opts := &redis.Options{Addr: address}
	if strings.Contains(address, "://") {
		var err error
		opts, err = redis.ParseURL(address)
		if bad := (*url.Error)(nil); errors.As(err, &bad) {
			return nil, errNotURL
		}
		if err != nil {
			return nil, err
		}
	} else if _, _, err := net.SplitHostPort(address); err != nil {
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
