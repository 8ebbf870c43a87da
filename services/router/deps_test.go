package main

import (
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestRouterLinksNoRedis(t *testing.T) {
	deps := testkit.Deps(t, ".")
	require.Contains(t, deps, testkit.ModulePath()+"/pkg/route")
	for _, path := range deps {
		require.NotRegexp(t, "redis|redsync", path)
	}
}
