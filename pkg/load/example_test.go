package load_test

import (
	"fmt"
	"math/rand/v2"

	"example.com/lockstep/pkg/load"
)

// generate makes the events of orders, whose handler wants them in this sequence: the nth event of a key is its nth step.
func generate(d *load.Draw) load.Event {
	steps := []string{"created", "paid", "shipped"}
	return load.Event{
		Key: fmt.Sprint("order-", d.Key), Type: steps[int(d.Counter-1)%len(steps)],
		Payload: fmt.Appendf(d.Buf, `{"amount":%d}`, 1+d.Rand.IntN(9)),
	}
}

// A load sends events of your application: Generate says what the nth event of a key looks like, from the Draw alone.
func ExampleGenerate() {
	app := load.Application{Generate: generate}
	for counter := uint64(1); counter <= 3; counter++ {
		e := app.Generate(&load.Draw{Key: 7, Counter: counter, Rand: rand.New(rand.NewPCG(7, counter))})
		again := app.Generate(&load.Draw{Key: 7, Counter: counter, Rand: rand.New(rand.NewPCG(7, counter))})
		fmt.Println(e.Key, e.Type, "the same again:", string(e.Payload) == string(again.Payload))
	}
	// Output:
	// order-7 created the same again: true
	// order-7 paid the same again: true
	// order-7 shipped the same again: true
}
