package main

import (
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestRouterLinksNoRedis(t *testing.T) {
	deps := testkit.Deps(t, ".")
	require.Contains(t, deps, "example.com/lockstep/pkg/route")
	for _, path := range deps {
		require.NotRegexp(t, "redis|redsync", path)
	}
}
