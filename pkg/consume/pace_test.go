package consume

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A log that is opened again and again, as while servers are restarted one after the other, makes no later failure wait.
func TestPace(t *testing.T) {
	var p pace
	for range 10 {
		require.Equal(t, retryMin, p.soon())
	}
	for _, want := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000} {
		require.Equal(t, want*time.Millisecond, p.later())
	}
	require.Equal(t, retryMin, p.soon())
	require.Equal(t, retryMin, p.later())
}
