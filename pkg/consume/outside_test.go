package consume_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// forget loses the ids, and nothing else.
func (b *Bank) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.answers)
}

func TestBankPaysOnce(t *testing.T) {
	bank := NewBank(100)
	for _, c := range []struct {
		says       string
		p          Payment
		want       Paid
		err        error
		alice, bob int // payments made
	}{
		{"the first", Payment{"e1", "alice", 7, 10}, Paid{1}, nil, 1, 0},
		{"a repeat", Payment{"e1", "alice", 7, 10}, Paid{1}, nil, 1, 0},
		{"by the next owner", Payment{"e1", "alice", 9, 10}, Paid{1}, nil, 1, 0},
		{"a repeat raises no fence", Payment{"e2", "alice", 8, 10}, Paid{2}, nil, 2, 0},
		{"a repeat by an owner of the past", Payment{"e1", "alice", 7, 10}, Paid{1}, nil, 2, 0},
		{"another event by an owner of the past", Payment{"e3", "alice", 7, 10}, Paid{}, errOldFence, 2, 0},
		{"it leaves no trace", Payment{"e3", "alice", 8, 10}, Paid{3}, nil, 3, 0},
		{"fences are compared by key", Payment{"e4", "bob", 2, 10}, Paid{1}, nil, 3, 1},
		{"more than there is", Payment{"e5", "bob", 5, 1000}, Paid{}, errNoCash, 3, 1},
		{"it has raised no fence", Payment{"e6", "bob", 4, 10}, Paid{2}, nil, 3, 2},
		{"and its id is not known", Payment{"e5", "bob", 5, 10}, Paid{3}, nil, 3, 3},
	} {
		paid, err := bank.Pay(c.p)
		require.ErrorIs(t, err, c.err, c.says)
		require.Equal(t, c.want, paid, c.says)
		require.Len(t, bank.Payments("alice"), c.alice, c.says)
		require.Len(t, bank.Payments("bob"), c.bob, c.says)
	}
}

// town is a bank behind HTTP, and a stack whose handler pays out.
type town struct {
	t      *testing.T
	nats   *testkit.NATSServer
	rdb    *redis.Client
	bank   *Bank
	server *httptest.Server

	mu      sync.Mutex // guards what follows
	answers map[int]int
	lose    func(n int) bool // tells whether the n-th answer is lost, though the bank has dealt with the request
	late    chan struct{}    // the next request reaches the bank when it is closed
}

func newTown(t *testing.T, cash int64, shards int) *town {
	c := &town{t: t, nats: testkit.NATS(t), bank: NewBank(cash), answers: make(map[int]int), lose: func(int) bool { return false }}
	c.rdb = redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { require.NoError(t, c.rdb.Close()) })
	c.server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.server.Close)
	router, err := route.New(c.nats.Connect(t), route.Config{
		App: "town", Initial: topology.Initial{Shards: shards, Lanes: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}}, Log: quietly,
	})
	require.NoError(t, err)
	require.NoError(t, router.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, router.Stop(context.Background())) })
	return c
}

var quietly = slog.New(slog.DiscardHandler)

// serve has the bank answer, and counts the answers.
func (c *town) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	late := c.late
	c.late = nil
	c.mu.Unlock()
	if late != nil {
		<-late
	}
	answer := httptest.NewRecorder()
	c.bank.ServeHTTP(answer, r)
	c.mu.Lock()
	c.answers[answer.Code]++
	n := 0
	for _, count := range c.answers {
		n += count
	}
	lost := c.lose(n)
	c.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // the connection ends
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// answered is how often the bank has answered so.
func (c *town) answered(code int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[code]
}

// worker starts one. stop ends it, and its handlers if they do not return within a while.
func (c *town) worker() (stop func()) {
	locker, err := lease.New(lease.Config{App: "town"}, c.rdb)
	require.NoError(c.t, err)
	w, err := consume.New(c.nats.Connect(c.t), consume.Config{
		App: "town", Handler: consume.Typed(PayOut(c.server.Client(), c.server.URL)), Locker: group.Leases(locker), Log: quietly,
		Store: func(id string) store.Store { return redisstore.New(c.rdb, "town", id) },
	})
	require.NoError(c.t, err)
	require.NoError(c.t, w.Start(c.t.Context()))
	var once sync.Once
	stop = func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			_ = w.Stop(ctx) // says so if a handler had to be ended
		})
	}
	c.t.Cleanup(stop)
	return stop
}

func (c *town) publisher() *publish.Publisher {
	p, err := publish.New(c.nats.Connect(c.t), publish.Config{App: "town", Log: quietly})
	require.NoError(c.t, err)
	require.NoError(c.t, p.Start(c.t.Context()))
	c.t.Cleanup(func() { require.NoError(c.t, p.Stop(context.Background())) })
	return p
}

func (c *town) eventually(condition func() bool, says string, args ...any) {
	c.t.Helper()
	require.Eventually(c.t, condition, 30*time.Second, 5*time.Millisecond, append([]any{says}, args...)...)
}

// applied waits until so many events of a key are applied and none waits, and returns its state.
func (c *town) applied(key string, events int) (state Payouts) {
	c.t.Helper()
	c.eventually(func() bool {
		states, err := query.NewClient(c.nats.Conn, "town").States(c.t.Context(), []string{key})
		return err == nil && states[0].Found && states[0].SetAside == 0 && json.Unmarshal(states[0].Data, &state) == nil && state.Events >= events
	}, "not %d events of key %s", events, key)
	return state
}

// requirePaid fails unless a key's payments are the amounts 1 to n, in this order.
func (c *town) requirePaid(key string, n int) {
	c.t.Helper()
	payments := c.bank.Payments(key)
	require.Len(c.t, payments, n, "key %s", key)
	for i, p := range payments {
		require.Equal(c.t, int64(i+1), p.Amount, "key %s", key)
	}
}

func sum(n int) int64 { return int64(n * (n + 1) / 2) }

// Answers are lost, the bank runs out of cash, and the store forgets everything in the middle: each event is paid once, and
// in order.
func TestEffectsOutsideAreMadeOnce(t *testing.T) {
	const keys, half, all = 8, 20, 40
	c := newTown(t, keys*sum(half)+sum(half), 4) // not enough for all
	c.lose = func(n int) bool { return n%23 == 0 }
	c.worker()
	p := c.publisher()
	send := func(from, to int) {
		for i := from; i <= to; i++ {
			for key := range keys {
				_, err := p.SendAsync(fmt.Sprint("k", key), []byte(strconv.Itoa(i)))
				require.NoError(t, err)
			}
		}
	}
	send(1, half)
	for key := range keys {
		c.applied(fmt.Sprint("k", key), half)
	}
	send(half+1, half+half/2)
	require.NoError(t, c.rdb.FlushAll(t.Context()).Err())
	send(half+half/2+1, all)
	c.eventually(func() bool { return c.answered(http.StatusServiceUnavailable) > 0 }, "there was always enough cash")
	c.bank.PayIn(keys * sum(all))
	for key := range keys {
		name := fmt.Sprint("k", key)
		require.Equal(t, Payouts{Total: sum(all), Events: all}, c.applied(name, all), name)
		c.requirePaid(name, all)
	}
	require.GreaterOrEqual(t, c.answered(http.StatusOK), keys*(all+half), "the replay has asked again for what was paid before")
	require.Zero(t, c.answered(http.StatusConflict), "every fence was newer than the one before")
}

// Store and claims are lost both, so that fences begin anew, and the bank has forgotten the ids: it refuses the replay, which
// comes to the same state all the same.
func TestReplayUnderOlderFencesIsRefused(t *testing.T) {
	const events = 10
	c := newTown(t, sum(2*events), 1)
	p := c.publisher()
	for i := range events { // each by another owner
		stop := c.worker()
		require.NoError(t, p.Send(t.Context(), "alice", []byte(strconv.Itoa(i+1))))
		c.applied("alice", i+1)
		stop()
	}
	js, err := jetstream.New(c.nats.Conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), topology.Bucket("town", "claims")))
	require.NoError(t, c.rdb.FlushAll(t.Context()).Err())
	newest := c.bank.Payments("alice")[events-1].Fence
	c.bank.forget()

	c.worker()
	require.Equal(t, Payouts{Total: sum(events), Events: events}, c.applied("alice", events))
	positions, err := query.NewClient(c.nats.Conn, "town").Positions(t.Context())
	require.NoError(t, err)
	require.Less(t, positions[0].Fence, newest)
	require.Equal(t, events, c.answered(http.StatusConflict), "each event was refused, and taken as done")
	c.requirePaid("alice", events)
}

// A client without our library sends what the handler cannot read: its key is parked at once, and others go on.
func TestEventThatCannotBeReadParksItsKey(t *testing.T) {
	c := newTown(t, 100, 1)
	c.worker()
	for _, event := range []struct{ key, data string }{{"alice", "1"}, {"alice", `{"amount":`}, {"bob", "1"}, {"alice", "2"}, {"bob", "2"}} {
		m, err := c.nats.Conn.Request(topology.EventSubject("town")+"."+event.key, []byte(event.data), 10*time.Second)
		require.NoError(t, err)
		require.Contains(t, string(m.Data), `"stream":"TOWN_1_0"`)
	}
	require.Equal(t, Payouts{Total: sum(2), Events: 2}, c.applied("bob", 2))
	var alice query.State
	c.eventually(func() bool {
		states, err := query.NewClient(c.nats.Conn, "town").States(t.Context(), []string{"alice"})
		if err == nil {
			alice = states[0]
		}
		return alice.SetAside == 2
	}, "not both events of the key are set aside")
	require.True(t, alice.Parked)
	require.EqualValues(t, 1, alice.Count)
	c.requirePaid("alice", 1)

	// An operator drops the event that cannot be read, and the one behind it is applied.
	operator := query.NewClient(c.nats.Conn, "town")
	list, _, err := operator.Waiting(t.Context(), "alice", 1)
	require.NoError(t, err)
	require.Contains(t, list.Error, "event has no amount")
	_, err = operator.Order(t.Context(), frame.Command{Op: frame.CommandDrop, Key: "alice", First: list.First, Last: list.First, Count: 1})
	require.NoError(t, err)
	require.Equal(t, Payouts{Total: sum(2), Events: 2}, c.applied("alice", 2))
	c.requirePaid("alice", 2)
}

// A request of an owner of the past reaches the bank when the next owner has paid: it has no effect.
func TestRequestOfAnOwnerOfThePastHasNoEffect(t *testing.T) {
	for name, c := range map[string]struct {
		forget bool
		answer int
	}{
		"the id is known":     {false, http.StatusOK},
		"the id is forgotten": {true, http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			town := newTown(t, 10, 1)
			late := make(chan struct{})
			release := sync.OnceFunc(func() { close(late) })
			defer release()
			town.late = late
			stop := town.worker()
			require.NoError(t, town.publisher().Send(t.Context(), "alice", []byte("1")))
			town.eventually(func() bool { town.mu.Lock(); defer town.mu.Unlock(); return town.late == nil }, "no request")
			stop()
			town.worker()
			require.Equal(t, Payouts{Total: 1, Events: 1}, town.applied("alice", 1))
			if c.forget {
				town.bank.forget()
			}
			before := town.answered(c.answer)
			release()
			town.eventually(func() bool { return town.answered(c.answer) == before+1 }, "the late request was not answered")
			town.requirePaid("alice", 1)
		})
	}
}
