package testkit

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Refusing is an address where no process listens, on a port that the system never gives away by itself.
const Refusing = "127.0.0.1:1"

// Mute returns the address of a server that accepts connections and never answers.
func Mute(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
