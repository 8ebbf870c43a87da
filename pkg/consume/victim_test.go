package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// victimVariable makes a process of the test's binary a worker that kills itself.
const victimVariable = "TESTKIT_VICTIM"

// victim is a worker in a process of its own, which kills that process with SIGKILL at one step of its work on lists.
type victim struct {
	NATS, Redis string
	Step        string // of the lists; exportStep for a page of a list that is read for a tool
	After       bool   // it dies when the store has carried the step out, else just before
}

// victimTTL is how long a victim's leases outlive it, if nobody else ends them.
const victimTTL = 3 * time.Second

// mendedKey is a key in Redis. While it exists the handler does not fail key "bad" any more.
const mendedKey = "mended"

// mainVictim is called by TestMain. In a victim it does not return.
func mainVictim() {
	spec := os.Getenv(victimVariable)
	if spec == "" {
		return
	}
	var v victim
	if err := errors.Join(json.Unmarshal([]byte(spec), &v), v.run()); err != nil {
		fmt.Println(err)
	}
	os.Exit(1)
}

// run works until the test ends, which holds the other end of our standard input.
func (v victim) run() error {
	nc, err := nats.Connect(v.NATS)
	if err != nil {
		return err
	}
	listener, err := nats.Connect(v.NATS)
	if err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: v.Redis, ContextTimeoutEnabled: true})
	locker, err := lease.New(lease.Config{App: "app", TTL: victimTTL, Renew: victimTTL / 3}, rdb)
	if err != nil {
		return err
	}
	sent, err := newSentReceipts(listener)
	if err != nil {
		return err
	}
	cfg := Config{
		App: "app", Name: "victim", Locker: group.Leases(locker), Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(os.Stdout, nil)),
		Store: func(id string) store.Store {
			return &lethal{Store: redisstore.New(rdb, "app", id), victim: v, sent: sent, heads: make(map[string]aside.Head)}
		},
	}
	failingUntilMended(rdb)(&cfg)
	w, err := New(nc, cfg)
	if err != nil {
		return err
	}
	w.owns = func(int, []byte) bool { return true }
	if err := w.Start(background); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// failingUntilMended has the first events of "bad" and "gone" fail, that of "bad" until Redis says that the handler is mended.
func failingUntilMended(rdb redis.UniversalClient) func(*Config) {
	return func(c *Config) {
		quickly(c)
		c.Attempts = 3
		c.Handler = collect(func(ev Event) error {
			switch ev.ID() {
			case id(2):
				if n, err := rdb.Exists(background, mendedKey).Result(); err != nil || n == 0 {
					return errors.Join(errRefused, err)
				}
			case id(3):
				return errRefused
			}
			return nil
		})
	}
}

// lethal is a store whose process dies at one step.
type lethal struct {
	store.Store
	victim
	sent *sentReceipts

	mu    sync.Mutex
	heads map[string]aside.Head // of the lists, as they are stored
	pages int                   // that were read for tools
}

func (l *lethal) Claim(ctx context.Context, shard int, fence uint64, version store.Version) (store.Record, error) {
	rec, err := l.Store.Claim(ctx, shard, fence, version)
	if err == nil {
		l.sent.owe(rec.Owed)
	}
	return rec, err
}

func (l *lethal) Heads(ctx context.Context, shard int, version store.Version, take func(string, []byte) error) error {
	return l.Store.Heads(ctx, shard, version, func(key string, encoded []byte) error {
		head, err := aside.DecodeHead(encoded)
		l.mu.Lock()
		l.heads[key] = head
		l.mu.Unlock()
		return errors.Join(err, take(key, encoded))
	})
}

func (l *lethal) Commit(ctx context.Context, c *store.Commit) error {
	fatal := l.fatal(c)
	if fatal && !l.After {
		l.die()
	}
	err := l.Store.Commit(ctx, c)
	if err != nil {
		return err
	}
	if fatal {
		l.die()
	}
	l.sent.owe(c.Owed)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.Lists {
		if delete(l.heads, c.Lists[i].Key); c.Lists[i].Head != nil {
			l.heads[c.Lists[i].Key], _ = aside.DecodeHead(c.Lists[i].Head)
		}
	}
	return nil
}

// Aside reads for a tool when it names no version.
func (l *lethal) Aside(ctx context.Context, shard int, version store.Version, key string, from uint64, n int) ([][]byte, error) {
	fatal := false
	if version == "" && l.Step == exportStep {
		l.mu.Lock()
		l.pages++
		fatal = l.pages == 4 // in the middle of the list
		l.mu.Unlock()
	}
	if fatal && !l.After {
		l.die()
	}
	events, err := l.Store.Aside(ctx, shard, version, key, from, n)
	if fatal {
		l.die()
	}
	return events, err
}

func (l *lethal) fatal(c *store.Commit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.Lists {
		if before, ok := l.heads[c.Lists[i].Key]; stepOf(&c.Lists[i], before, ok) == l.Step {
			return true
		}
	}
	return false
}

// die kills the process. Receipts of the commits before the last have left it by then: a worker that dies sooner may lose them.
func (l *lethal) die() {
	self, err := os.FindProcess(os.Getpid())
	if err = errors.Join(err, l.sent.wait()); err == nil {
		err = self.Kill()
	}
	if err != nil {
		fmt.Println("die:", err)
		os.Exit(1)
	}
	select {}
}

// Steps of a list that a commit makes.
const (
	setsAside       = "sets aside"
	joins           = "joins"
	attemptFails    = "attempt fails"
	parks           = "parks"
	takesRetry      = "takes a retry"
	retryFails      = "retry fails"
	appliesAPiece   = "applies a piece"
	appliesTheRest  = "applies the rest"
	takesDrop       = "takes a drop"
	dropsAPiece     = "drops a piece"
	dropsTheRest    = "drops the rest"
	exportStep      = "export"
	otherStepOfList = "another"
)

// stepOf tells what a commit does to a list; before is its head, if there is one.
func stepOf(l *store.List, before aside.Head, stored bool) string {
	head, err := aside.DecodeHead(l.Head)
	drops := before.Mark.Op == aside.Drop
	switch {
	case len(l.Events) > 0 && !stored:
		return setsAside
	case len(l.Events) > 0:
		return joins
	case l.Head == nil && drops:
		return dropsTheRest
	case l.Head == nil:
		return appliesTheRest
	case err != nil:
		return otherStepOfList
	case l.Till > l.Drop && drops:
		return dropsAPiece
	case l.Till > l.Drop:
		return appliesAPiece
	case head.Mark.Op == aside.Drop:
		return takesDrop
	case head.Mark.Op == aside.Retry:
		return takesRetry
	case before.Mark.Op == aside.Retry:
		return retryFails
	case head.Status == aside.Parked:
		return parks
	case head.Attempts > before.Attempts:
		return attemptFails
	}
	return otherStepOfList
}

// sentReceipts are the receipts of publisher 1 that were published, beside those that commits owe.
type sentReceipts struct {
	mu   sync.Mutex
	owed map[uint64]bool
	sub  *nats.Subscription
}

func newSentReceipts(nc *nats.Conn) (*sentReceipts, error) {
	sub, err := nc.SubscribeSync(topology.ReceiptSubject("app", frame.PublisherID{1}.String()))
	return &sentReceipts{owed: make(map[uint64]bool), sub: sub}, errors.Join(err, nc.Flush())
}

func (s *sentReceipts) owe(encoded []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owed, err := decodeOwed(encoded)
	if err != nil {
		panic(err)
	}
	for _, seqs := range owed {
		for _, seq := range seqs {
			s.owed[seq] = true
		}
	}
}

// wait waits until all that is owed was published.
func (s *sentReceipts) wait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.owed) > 0 {
		m, err := s.sub.NextMsgWithContext(background)
		if err != nil {
			return err
		}
		var receipt frame.Receipt
		if err := receipt.Decode(m.Data); err != nil {
			return err
		}
		for _, seq := range receipt.Seqs {
			delete(s.owed, seq)
		}
	}
	return nil
}
