package service

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A process is idle when it allocates less than idleBytes in idleEvery, idleTimes in a row.
const (
	idleEvery = 10 * time.Second
	idleBytes = 16 << 20
	idleTimes = 3
)

// ReleaseMemory gives the system back the memory that a load has needed, each time that the process is idle after one. The Go runtime alone
// would keep it for minutes or for ever, as room for garbage that no longer comes. Call stop to end this.
func ReleaseMemory() (stop func()) { return releaseMemory(idleEvery) }

func releaseMemory(every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { watchMemory(ctx, every) })
	return func() {
		cancel()
		watching.Wait()
	}
}

func watchMemory(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	idle, before := 0, allocated()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := allocated()
		if now-before < idleBytes {
			idle++
		} else {
			idle = 0
		}
		before = now
		if idle == idleTimes {
			debug.FreeOSMemory()
			debug.FreeOSMemory() // a pool's content is garbage only after two collections
		}
	}
}

// allocated returns how many bytes the process has allocated so far, in sum.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
