package load

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells people how the run goes, one plain line at a time.
type progress struct {
	mu  sync.Mutex // guards out
	out io.Writer
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// follow writes a line every second until the returned function is called,
// which waits for it to end.
func (p *progress) follow(t *traffic) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(time.Second)
		defer every.Stop()
		var before uint64
		for {
			select {
			case <-end:
				return
			case <-every.C:
				s := t.snapshot()
				p.say("%4.0fs  sent %d  acked %d (%d/s)  failed %d  receipts %d  apply p99 %.2f ms",
					t.elapsed().Seconds(), s.Sent, s.Acked, s.Acked-before, s.Failed, s.Receipts, s.Latency.Apply.P99)
				before = s.Acked
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
