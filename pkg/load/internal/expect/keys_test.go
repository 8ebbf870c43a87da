package expect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/frame"
)

func TestKeysCanHaveNames(t *testing.T) {
	longest := strings.Repeat("x", LongestName("ab12"))
	keys, err := NamedKeys("ab12", slices.Values([]string{"b", "a b", longest, "7"}))
	require.NoError(t, err)
	require.Equal(t, 4, keys.Len())
	require.Equal(t, "load-ab12-b", keys.Name(0))
	require.Equal(t, "load-ab12-a b", keys.Name(1))
	require.Len(t, keys.Name(2), frame.MaxKeyBytes)
	require.Equal(t, "load-ab12-7", keys.Name(3))

	for says, names := range map[string][]string{
		"run ab12 has no keys": nil,
		"key is too long":      {"a", longest + "y"},
		"key is not UTF-8":     {"a", "\xff"},
	} {
		_, err := NamedKeys("ab12", slices.Values(names))
		require.ErrorContains(t, err, says)
	}
}

func TestNewKeysRefuses(t *testing.T) {
	for _, n := range []int{0, -1, MaxKeys + 1} {
		_, err := newEventsOf(t, Payload{}, 1).Keys("r", n)
		require.EqualError(t, err, fmt.Sprintf("keys must be from 1 to 10000000, not %d", n))
	}
}

func TestKeysAreNamed(t *testing.T) {
	keys, err := newEventsOf(t, Payload{}, 1).Keys("ab12", 1001)
	require.NoError(t, err)
	require.Equal(t, 1001, keys.Len())
	for i := range keys.Len() {
		require.Equal(t, fmt.Sprintf("load-ab12-%d", i), keys.Name(i))
	}
}
