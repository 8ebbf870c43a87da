package service

import (
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sink keeps the compiler from leaving an allocation out.
var sink []byte

func TestMemoryOfALoadIsReleased(t *testing.T) {
	released := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	const size = 64 << 20
	sink = make([]byte, size)
	for i := range sink {
		sink[i] = 1
	}
	before := released()
	sink = nil
	stop := releaseMemory(10 * time.Millisecond)
	defer stop()
	require.Eventually(t, func() bool { return released() > before+size/2 }, 30*time.Second, 10*time.Millisecond)
}
