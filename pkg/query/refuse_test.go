package query_test

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/query"
	"github.com/stretchr/testify/require"
)

// A worker that may not answer for states leaves that to the others. If there is no other one, the client hears why.
func TestRefusedQueries(t *testing.T) {
	r := newRig(t)
	refuses := r.serve(t, 1, query.Worker{})
	r.keep(t, 0, 0, "a")
	refuses.Refuse("this worker may not")
	ctx, cancel := context.WithTimeout(limit(t), time.Second)
	defer cancel()
	_, err := r.client.States(ctx, []string{"a"})
	require.EqualError(t, err, "query states: this worker may not")
	positions, err := r.client.Positions(limit(t))
	require.NoError(t, err)
	require.Len(t, positions, 1)

	r.serve(t, 1, query.Worker{})
	for range 20 { // NATS gives either of them its share
		states, err := r.client.States(limit(t), []string{"a"})
		require.NoError(t, err)
		require.True(t, states[0].Found)
	}
	refuses.Refuse("")
	states, err := r.client.States(limit(t), []string{"a"})
	require.NoError(t, err)
	require.True(t, states[0].Found)
}
