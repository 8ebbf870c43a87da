package progress

import (
	"sync"
	"time"
)

// Follow shows a load as often as the view wants, until stop is called, which
// waits for it to end. look is false while there is nothing to show.
func Follow(v View, look func() (Snapshot, bool)) (stop func()) {
	end := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		defer v.Done()
		every := time.NewTicker(v.Every())
		defer every.Stop()
		for {
			select {
			case <-end:
				return
			case <-every.C:
				if s, ok := look(); ok {
					v.Show(s)
				}
			}
		}
	})
	return func() {
		close(end)
		following.Wait()
	}
}
