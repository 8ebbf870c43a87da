package lease_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit/example"
)

// A lease has one holder. Its context ends when the lease is lost or released.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	locker, err := lease.New(lease.Config{App: "shop"}, servers.Redis)
	example.Check(err)

	held, err := locker.Try(ctx, 7, "worker-1")
	example.Check(err)
	_, err = locker.Try(ctx, 7, "worker-2")
	fmt.Println("taken:", errors.Is(err, lease.ErrTaken))

	example.Check(held.Release(ctx))
	<-held.Context().Done()
	held, err = locker.Try(ctx, 7, "worker-2")
	example.Check(err)
	fmt.Println("free again")
	example.Check(held.Release(ctx))
	// Output:
	// taken: true
	// free again
}
