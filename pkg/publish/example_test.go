package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/topology"
)

// A publisher sends events. Send returns once the event is durably stored: it will be applied exactly once, after the events
// that this publisher sent for the key before.
func Example() {
	stack := startStack()
	defer stack.stop()
	ctx := context.Background()

	nc, err := publish.Dial(stack.url)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	p, err := publish.New(nc, publish.Config{App: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Stop(ctx)

	for _, amount := range []string{"5", "7"} {
		if err := p.Send(ctx, "alice", []byte(amount)); err != nil {
			log.Fatal(err)
		}
		fmt.Println("stored:", amount)
	}
	// Output:
	// stored: 5
	// stored: 7
}

// For every error of an event either ErrNotStored or ErrUnknown holds. The other errors say why it is not stored.
func ExamplePublisher_Send() {
	stack := startStack()
	defer stack.stop()
	p := stack.publisher()
	send := func(ctx context.Context, key string, data []byte) {
		err := p.Send(ctx, key, data)
		switch {
		case err == nil:
			fmt.Println("stored: it will be applied once")
		case errors.Is(err, publish.ErrUnknown):
			fmt.Println("it may be stored: sent again, it may be applied twice")
		case errors.Is(err, publish.ErrNoKey), errors.Is(err, publish.ErrKeyTooLong), errors.Is(err, publish.ErrKeyNotUTF8),
			errors.Is(err, publish.ErrEventTooLarge), errors.Is(err, publish.ErrRefused):
			fmt.Println("the event cannot be stored as it is:", err)
		case errors.Is(err, publish.ErrClosed), errors.Is(err, publish.ErrDisconnected), errors.Is(err, publish.ErrSessionTooOld):
			fmt.Println("not stored: another publisher may send it:", err)
		case errors.Is(err, publish.ErrNotStored): // here: the context ended before the event left
			fmt.Println("not stored: it may be sent again")
		}
	}
	ctx := context.Background()
	send(ctx, "alice", []byte("5"))
	send(ctx, "", []byte("5"))
	send(ctx, strings.Repeat("a", 600), []byte("5"))
	send(ctx, "alice", make([]byte, 600<<10))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	send(ended, "alice", []byte("5"))

	send(stack.hang(ctx), "alice", []byte("5")) // this context ends once the event has left for a router that does not answer

	_ = p.Stop(ended)
	send(ctx, "alice", []byte("5"))
	// Output:
	// stored: it will be applied once
	// the event cannot be stored as it is: event has no key
	// the event cannot be stored as it is: key is too long: 600 bytes, at most 512 are allowed
	// the event cannot be stored as it is: event is too large: 614422 bytes encoded, at most 524288 are allowed
	// not stored: it may be sent again
	// it may be stored: sent again, it may be applied twice
	// not stored: another publisher may send it: publisher is stopped
}

// SendAsync never blocks. A full publisher returns ErrFull, and WaitRoom waits until it has room.
func ExamplePublisher_SendAsync() {
	stack := startStack()
	defer stack.stop()
	p := stack.publisher()
	ctx := context.Background()

	var sent []*publish.Handle
	for i := range 50_000 {
		key, data := fmt.Sprintf("customer-%d", i%1000), []byte("1")
		h, err := p.SendAsync(key, data)
		for errors.Is(err, publish.ErrFull) {
			if err := p.WaitRoom(ctx); err != nil {
				log.Fatal(err)
			}
			h, err = p.SendAsync(key, data)
		}
		if err != nil {
			log.Fatal(err)
		}
		sent = append(sent, h)
	}
	stored := 0
	for _, h := range sent {
		if err := h.Wait(ctx); err == nil {
			stored++
		}
	}
	fmt.Println("stored:", stored)
	if err := p.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: stored: 50000
}

// Until an event has an outcome, the error of its handle is ErrPending: neither ErrNotStored nor ErrUnknown.
func ExampleHandle_Err() {
	stack := startStack()
	defer stack.stop()
	p := stack.publisher()
	left := stack.hang(context.Background())

	h, err := p.SendAsync("alice", []byte("5"))
	if err != nil {
		log.Fatal(err)
	}
	<-left.Done() // the event has left, and no answer comes
	fmt.Println("pending:", errors.Is(h.Err(), publish.ErrPending))

	_ = p.Stop(left) // a Stop whose context has ended gives up the events without an outcome
	fmt.Println("unknown:", errors.Is(h.Err(), publish.ErrUnknown))
	// Output:
	// pending: true
	// unknown: true
}

// stack is a NATS server and a router of the app "shop", all in this process.
type stack struct {
	url    string
	nc     *nats.Conn
	router *route.Router
	ends   []func()
}

// stop ends what was started, the last one first.
func (s *stack) stop() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

func startStack() *stack {
	s := new(stack)
	dir, err := os.MkdirTemp("", "example-")
	s.check(err)
	s.ends = append(s.ends, func() { _ = os.RemoveAll(dir) })
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	s.check(err)
	ns.Start()
	s.ends = append(s.ends, func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(20 * time.Second) {
		s.check(errors.New("nats-server is not ready"))
	}
	s.url = ns.ClientURL()
	s.nc, err = publish.Dial(s.url)
	s.check(err)
	s.ends = append(s.ends, s.nc.Close)
	s.router, err = route.New(s.nc, route.Config{
		App: "shop", Initial: topology.Initial{Shards: 4, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}}, Log: slog.New(slog.DiscardHandler),
	})
	s.check(err)
	s.check(s.router.Start(context.Background()))
	s.ends = append(s.ends, func() { _ = s.router.Stop(context.Background()) })
	return s
}

// publisher starts one that is given up at the end.
func (s *stack) publisher() *publish.Publisher {
	p, err := publish.New(s.nc, publish.Config{App: "shop"})
	s.check(err)
	s.check(p.Start(context.Background()))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s.ends = append(s.ends, func() { _ = p.Stop(ended) })
	return p
}

// hang puts a router in the place of the present one that takes frames and never answers. The context that it returns ends
// when a frame has come.
func (s *stack) hang(ctx context.Context) context.Context {
	s.check(s.router.Stop(ctx))
	ctx, left := context.WithCancel(ctx)
	_, err := s.nc.Subscribe(topology.FrameSubject("shop"), func(*nats.Msg) { left() })
	s.check(err)
	return ctx
}

func (s *stack) check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
