package main

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load"
)

// draw returns an event to be made, the same for the same key and counter.
func draw(key int, counter uint64) *load.Draw {
	return &load.Draw{
		Key: key, Counter: counter, Rand: rand.New(rand.NewPCG(uint64(key), counter)),
		Content: func() []byte { return []byte("content") },
	}
}

// The verification makes some events again, and in another order.
func TestSameDrawGivesTheSameEvent(t *testing.T) {
	var first []load.Event
	for counter := uint64(1); counter <= 10; counter++ {
		first = append(first, generate(draw(7, counter)))
	}
	for counter := uint64(10); counter >= 1; counter-- {
		require.Equal(t, first[counter-1], generate(draw(7, counter)))
	}
}
