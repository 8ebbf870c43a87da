package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// TokenTTL is how long a token stands, unless it is put again.
const TokenTTL = 10 * time.Minute

func (r *Redis) tokenKey(name string) string { return r.app + ":token:" + name }

// PutToken implements Store.
func (r *Redis) PutToken(ctx context.Context, name, value string) error {
	if err := r.rdb.Set(ctx, r.tokenKey(name), value, TokenTTL).Err(); err != nil {
		return fmt.Errorf("put a token into the store: %w", err)
	}
	return nil
}

// Token implements Store.
func (r *Redis) Token(ctx context.Context, name string) (string, error) {
	value, err := r.rdb.Get(ctx, r.tokenKey(name)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("look for a token in the store: %w", err)
	}
	return value, nil
}
