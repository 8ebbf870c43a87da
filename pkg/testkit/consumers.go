package testkit

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Consumers lists the names of a stream's consumers.
func Consumers(t testing.TB, nc *nats.Conn, stream string) (names []string) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	list := s.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	require.NoError(t, list.Err())
	return names
}

// KillConsumers deletes all consumers of a stream, as if the server that had them were gone. There must be one.
func KillConsumers(t testing.TB, nc *nats.Conn, stream string) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	names := Consumers(t, nc, stream)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.NoError(t, js.DeleteConsumer(t.Context(), stream, name))
	}
}
