package consume_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/redis/go-redis/v9"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/topology"
)

// Account is the state of one key.
type Account struct {
	Balance int64 `json:"balance"`
	Events  int   `json:"events"`
}

var errNoAmount = errors.New("event has no amount")

// Apply folds one event into its account. An error sets the event aside and is tried again; Park says that it is of no use to try.
func Apply(_ context.Context, acc *Account, ev consume.Event) error {
	amount, err := strconv.ParseInt(string(ev.Data), 10, 64)
	if err != nil {
		return consume.Park(fmt.Errorf("%w: %q", errNoAmount, ev.Data))
	}
	acc.Balance += amount
	acc.Events++
	return nil
}

// A handler is a plain function of a state and an event, so that a test calls it without NATS and without Redis.
func ExampleNewEvent() {
	var acc Account
	for i, amount := range []string{"5", "7", "many"} {
		ev := consume.NewEvent(fmt.Sprint("id-", i), "alice", []byte(amount), nil)
		if err := Apply(context.Background(), &acc, ev); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Printf("%+v\n", acc)
	// Output:
	// parked by the handler: event has no amount: "many"
	// {Balance:12 Events:2}
}

// Typed makes a Handler of a function. The state of a key is stored as JSON, and begins as the zero value.
func ExampleTyped() {
	handler := consume.Typed(Apply)
	state, err := handler.Decode(nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := handler.Apply(context.Background(), state, consume.NewEvent("id", "alice", []byte("5"), nil)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", *state.(*Account))
	// Output: {Balance:5 Events:1}
}

// A worker owns shards and applies their events. Here it runs beside a router and a publisher, over a NATS server and a
// Redis in this process.
func Example() {
	ctx := context.Background()
	discard := slog.New(slog.DiscardHandler)
	natsURL, redisAddr, stop := startServers()
	defer stop()
	nc, err := publish.Dial(natsURL)
	check(err)
	defer nc.Close()
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr})
	defer rdb.Close()

	router, err := route.New(nc, route.Config{
		App: "shop", Initial: topology.Initial{Shards: 4, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}}, Log: discard,
	})
	check(err)
	check(router.Start(ctx))
	defer router.Stop(ctx)

	locker, err := lease.New(lease.Config{App: "shop"}, rdb)
	check(err)
	worker, err := consume.New(nc, consume.Config{
		App: "shop", Handler: consume.Typed(Apply), Locker: group.Leases(locker), Log: discard,
		Store: func(topology string) store.Store { return redisstore.New(rdb, "shop", topology) },
	})
	check(err)
	check(worker.Start(ctx))
	defer worker.Stop(ctx)

	receipts := make(chan uint64, 2)
	p, err := publish.New(nc, publish.Config{App: "shop", OnReceipt: func(tag uint64) { receipts <- tag }})
	check(err)
	check(p.Start(ctx))
	defer p.Stop(ctx)
	for i, amount := range []string{"5", "7"} {
		check(p.SendEvent(ctx, publish.Event{Key: "alice", Data: []byte(amount), Receipt: true, Tag: uint64(i)}))
	}
	for range 2 { // both are applied
		<-receipts
	}

	states, err := query.NewClient(nc, "shop").States(ctx, []string{"alice"})
	check(err)
	var acc Account
	check(json.Unmarshal(states[0].Data, &acc))
	fmt.Printf("%s: %+v\n", states[0].Key, acc)
	// Output: alice: {Balance:12 Events:2}
}

// startServers starts a NATS server with JetStream and a Redis inside this process.
func startServers() (natsURL, redisAddr string, stop func()) {
	dir, err := os.MkdirTemp("", "example-")
	check(err)
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	check(err)
	ns.Start()
	if !ns.ReadyForConnections(20 * time.Second) {
		log.Fatal("nats-server is not ready")
	}
	mini, err := miniredis.Run()
	check(err)
	return ns.ClientURL(), mini.Addr(), func() {
		mini.Close()
		ns.Shutdown()
		ns.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
