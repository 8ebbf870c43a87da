package lifecycle_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/lifecycle"
)

// ticker is a part that runs one goroutine.
type ticker struct {
	*lifecycle.Once
	quit, done chan struct{}
}

func newTicker() *ticker {
	t := &ticker{quit: make(chan struct{}), done: make(chan struct{})}
	t.Once = lifecycle.NewOnce("ticker", t.start, t.stop)
	return t
}

func (t *ticker) start(context.Context) error {
	go func() {
		defer close(t.done)
		<-t.quit
		fmt.Println("the goroutine has ended")
	}()
	return nil
}

func (t *ticker) stop(context.Context) error {
	close(t.quit)
	<-t.done
	return nil
}

// A part is started once and stopped any number of times. Stop returns when its goroutines have ended.
func ExampleNewOnce() {
	ctx := context.Background()
	var part lifecycle.Part = newTicker()
	fmt.Println("start:", part.Start(ctx))
	fmt.Println("stop:", part.Stop(ctx))
	fmt.Println("stop:", part.Stop(ctx))
	fmt.Println("start again:", errors.Is(part.Start(ctx), lifecycle.ErrOnce))
	// Output:
	// start: <nil>
	// the goroutine has ended
	// stop: <nil>
	// stop: <nil>
	// start again: true
}
