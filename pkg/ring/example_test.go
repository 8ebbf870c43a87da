package ring_test

import (
	"fmt"
	"log"

	"example.com/lockstep/pkg/ring"
)

// A fifth shard takes about a fifth of the keys, and no key moves between the other four.
func Example() {
	four, err := ring.New([]int{0, 1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	five, err := ring.New([]int{0, 1, 2, 3, 4})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("alice is on shard", four.Shard("alice"))
	moved, astray := 0, 0
	for i := range 10_000 {
		key := fmt.Sprint("customer-", i)
		before, after := four.Shard(key), five.Shard(key)
		if before != after {
			moved++
			if after != 4 {
				astray++
			}
		}
	}
	fmt.Println("about a fifth moves:", moved > 1_500 && moved < 2_500)
	fmt.Println("moved between the others:", astray)
	// Output:
	// alice is on shard 2
	// about a fifth moves: true
	// moved between the others: 0
}
