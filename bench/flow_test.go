package main

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestFlowHoldsSendersBack(t *testing.T) {
	f := newFlow(100)
	var all sync.WaitGroup
	queue := make(chan struct{}, 1000)
	for range 4 {
		all.Go(func() {
			for range 2500 {
				if err := f.admit(t.Context()); err != nil {
					t.Error(err)
					return
				}
				if n := f.outstanding(); n > 100 {
					t.Errorf("%d outstanding", n)
				}
				queue <- struct{}{}
			}
		})
	}
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for range queue {
				f.applied(1)
			}
		})
	}
	all.Wait()
	if err := f.finish(t.Context()); err != nil || f.outstanding() != 0 {
		t.Fatalf("%v, %d outstanding", err, f.outstanding())
	}
	close(queue)
	workers.Wait()
}

func TestFlowEndsWithItsContext(t *testing.T) {
	f := newFlow(1)
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.admit(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- f.admit(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
