package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
)

// A commit names the version of the one before. So a worker that was paused while another one claimed its shard changes nothing.
func ExampleMemory() {
	ctx := context.Background()
	s := storetest.NewMemory().At("the topology's id")
	commit := func(old store.Version, state string) error {
		return s.Commit(ctx, &store.Commit{Shard: 0, Old: old, New: store.NewVersion(), States: []store.Pair{{Key: "alice", Value: []byte(state)}}})
	}
	paused, err := s.Claim(ctx, 0, 1, store.NewVersion())
	if err != nil {
		log.Fatal(err)
	}
	owner, err := s.Claim(ctx, 0, 2, store.NewVersion())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("owner:", commit(owner.Version, "5"))
	fmt.Println("paused worker is refused:", errors.Is(commit(paused.Version, "7"), store.ErrStale))
	// Output:
	// owner: <nil>
	// paused worker is refused: true
}
