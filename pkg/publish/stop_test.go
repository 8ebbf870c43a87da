package publish

import (
	"testing"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestStartStopStress(t *testing.T) {
	nc := testkit.NATS(t).Conn
	testkit.StressStartStop(t, func() lifecycle.Part {
		p, err := New(nc, Config{App: "app", OnReceipt: func(uint64) {}})
		require.NoError(t, err)
		return p
	})
}
