package testkit_test

import (
	"fmt"

	"example.com/lockstep/pkg/testkit"
)

// A test waits for what a part logs, or counts it.
func ExampleLog() {
	var log testkit.Log
	log.Logger().Warn("lease lost", "shard", 7)
	log.Logger().Info("lease taken", "shard", 7)
	fmt.Println(log.Count("lease", "shard=7"), log.Count("lost"))
	// Output: 2 1
}
