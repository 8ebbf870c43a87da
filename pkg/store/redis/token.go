package redis

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

func (s *Store) tokenKey(name string) string { return s.app + ":token:" + name }

// PutToken implements store.Store.
func (s *Store) PutToken(ctx context.Context, name, value string) error {
	_, err := patiently(ctx, func(ctx context.Context) (string, error) {
		return s.rdb.Set(ctx, s.tokenKey(name), value, store.TokenTTL).Result()
	})
	if err != nil {
		return fmt.Errorf("put a token into the store: %w", err)
	}
	return nil
}

// Token implements store.Store.
func (s *Store) Token(ctx context.Context, name string) (string, error) {
	value, err := patiently(ctx, func(ctx context.Context) (string, error) { return s.rdb.Get(ctx, s.tokenKey(name)).Result() })
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("look for a token in the store: %w", err)
	}
	return value, nil
}
