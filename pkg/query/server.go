package query

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/ring"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

const (
	serveTime = 5 * time.Second
	flushTime = time.Second
)

// Server answers on <app>.ctl.query and .parked.list and .show, one of all workers to each request, on the same with .any behind,
// .status and .pause, each of them, and on .parked.raise and .drop, the shard's owner. It is a NATS micro service: `nats micro ls` shows it.
type Server struct {
	nc      *nats.Conn
	app     string
	ring    *ring.Ring
	store   store.Store
	status  func() Worker
	pause   func(d time.Duration, by string)
	owner   Owner
	once    *lifecycle.Once
	service *service

	serving context.Context // ends at a hard stop, and with it the answers at hand
	abort   context.CancelFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	refused string // why queries of states are refused; "": they are answered
	busy    sync.WaitGroup
}

// NewServer makes a Server that answers from a store of the ring's shards, which are 0 to n-1. status returns the worker's status. pause pauses the
// worker from now on, for 0 to MaxPause; by describes the client that asked. Both may be called concurrently.
func NewServer(nc *nats.Conn, app string, shards *ring.Ring, s store.Store, status func() Worker, pause func(d time.Duration, by string)) *Server {
	srv := &Server{nc: nc, app: app, ring: shards, store: s, status: status, pause: pause}
	srv.serving, srv.abort = context.WithCancel(context.Background())
	srv.once = lifecycle.NewOnce("query server", srv.start, srv.stop)
	return srv
}

// Start returns once requests are answered.
func (s *Server) Start(ctx context.Context) error { return s.once.Start(ctx) }

func (s *Server) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("serve queries: %w", err)
		}
	}()
	s.service = newService(s.nc, s.app)
	s.addShared("query", s.answerQuery)
	s.service.add("status", "", s.answerStatus)
	s.service.add("pause", "", s.answerPause)
	s.addShared(listsEndpoint, s.answerLists)
	s.addShared(eventsEndpoint, s.answerEvents)
	s.service.add(raiseEndpoint, "", s.any(s.answerRaise))
	s.service.add(dropEndpoint, "", s.any(s.answerDrop))
	if err = s.service.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	return s.nc.FlushWithContext(ctx) // from here on requests arrive
}

func (s *Server) answerStatus(r micro.Request) {
	_ = r.RespondJSON(s.status()) // fails only without a connection, and then no client waits
}

// one answers for all workers, unless this one is stopping or may not answer.
func (s *Server) one(answer micro.HandlerFunc) micro.HandlerFunc {
	return func(r micro.Request) {
		if !s.enter() {
			_ = r.Error(codeStopping, "this worker is stopping: ask again", nil)
			return
		}
		defer s.busy.Done()
		if why := s.refuses(r); why != "" {
			_ = r.Error(codeStopping, why, nil)
			return
		}
		answer(r)
	}
}

// any leaves the answer to the others if this worker is stopping or may not answer.
func (s *Server) any(answer micro.HandlerFunc) micro.HandlerFunc {
	return func(r micro.Request) {
		if !s.enter() {
			return
		}
		defer s.busy.Done()
		if s.refuses(r) == "" {
			answer(r)
		}
	}
}

// Refuse refuses queries of states and of what waits from now on, with a reason, or answers them again with "". Positions, status
// and pauses are answered all the same.
func (s *Server) Refuse(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = why
}

// refuses says why a query is not answered; "": it is.
func (s *Server) refuses(r micro.Request) (why string) {
	s.mu.Lock()
	why = s.refused
	s.mu.Unlock()
	var req request
	if why == "" || json.Unmarshal(r.Data(), &req) == nil && req.Positions && len(req.Keys) == 0 {
		return ""
	}
	return why
}

func (s *Server) answerQuery(r micro.Request) {
	ctx, cancel := context.WithTimeout(s.serving, serveTime)
	defer cancel()
	answer(ctx, r, s.store, s.ring, s.limit())
}

// limit is how many bytes an answer may have.
func (s *Server) limit() int { return int(s.nc.MaxPayload()) - 4096 }

// enter begins an answer, unless Stop waits for the last one.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.busy.Add(1)
	}
	return !s.closed
}

// Stop ends the service. When it returns, no request is being answered and the store is not used any more. When ctx ends,
// requests at hand are answered with an error.
func (s *Server) Stop(ctx context.Context) error { return s.once.Stop(ctx) }

func (s *Server) stop(ctx context.Context) error {
	defer s.abort()
	defer context.AfterFunc(ctx, s.abort)()
	if s.service == nil {
		return nil
	}
	err := s.service.stop()
	_ = s.nc.FlushTimeout(flushTime) // fails only without a connection, and then nothing comes either
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.busy.Wait()
	if err != nil {
		return fmt.Errorf("stop serving queries: %w", err)
	}
	return nil
}

func answer(ctx context.Context, r micro.Request, s store.Store, shards *ring.Ring, limit int) {
	var req request
	if err := json.Unmarshal(r.Data(), &req); err != nil {
		_ = r.Error("400", fmt.Sprintf("not a query (%v): send {\"keys\":[...]} or {\"positions\":true}", err), nil)
		return
	}
	if len(req.Keys) == 0 && !req.Positions {
		_ = r.Error("400", "query names neither keys nor positions: send {\"keys\":[...]} or {\"positions\":true}", nil)
		return
	}
	if len(req.Keys) > MaxKeys {
		_ = r.Error("400", fmt.Sprintf("%d keys: at most %d are allowed", len(req.Keys), MaxKeys), nil)
		return
	}
	if slices.Contains(req.Keys, "") {
		_ = r.Error("400", "query names an empty key: a key has at least 1 byte", nil)
		return
	}
	out, err := read(ctx, s, shards, req)
	if err != nil {
		_ = r.Error("500", err.Error(), nil)
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		_ = r.Error("500", err.Error(), nil)
		return
	}
	if len(b) > limit {
		_ = r.Error(codeTooLarge, fmt.Sprintf("the answer has %d bytes, a message holds at most %d: ask for fewer keys", len(b), limit), nil)
		return
	}
	_ = r.Respond(b)
}

func read(ctx context.Context, s store.Store, shards *ring.Ring, req request) (out reply, err error) {
	if out.States, err = readStates(ctx, s, shards, req.Keys); err != nil || !req.Positions {
		return out, err
	}
	all, err := s.Shards(ctx, len(shards.Shards()))
	if err != nil {
		return reply{}, err
	}
	for i, sh := range all {
		p := Position{Shard: i, Fence: sh.Fence, Epoch: sh.Position.Epoch, Seq: sh.Position.Seq, Time: sh.Position.Time}
		if sh.Err != nil {
			p.Error = sh.Err.Error()
		}
		out.Positions = append(out.Positions, p)
	}
	return out, nil
}

// readStates reads the states of keys, shard by shard.
func readStates(ctx context.Context, s store.Store, shards *ring.Ring, keys []string) ([]State, error) {
	at := make(map[int][]int) // by shard: indices of its keys
	for i, key := range keys {
		shard := shards.Shard(key)
		at[shard] = append(at[shard], i)
	}
	out := make([]State, len(keys))
	for shard, indices := range at {
		own := make([]string, len(indices))
		for j, i := range indices {
			own[j] = keys[i]
		}
		states, heads, err := s.States(ctx, shard, own)
		if err != nil {
			return nil, err
		}
		for j, i := range indices {
			if out[i], err = decode(own[j], states[j]); err != nil {
				return nil, fmt.Errorf("state of key %q: %w", own[j], err)
			}
			if heads[j] == nil {
				continue
			}
			head, err := aside.DecodeHead(heads[j])
			if err != nil {
				return nil, fmt.Errorf("list of key %q: %w", own[j], err)
			}
			out[i].SetAside, out[i].Parked = head.Len(), head.Status == aside.Parked
		}
	}
	return out, nil
}

// decode reads a state as it is stored, nil if there is none.
func decode(key string, stored []byte) (State, error) {
	if stored == nil {
		return State{Key: key}, nil
	}
	proof, envelope, err := store.SplitState(stored)
	if err != nil {
		return State{}, err
	}
	e, err := store.DecodeEnvelope(envelope)
	if err != nil {
		return State{}, err
	}
	return State{
		Key: key, Found: true, Count: proof.Count, Chain: fmt.Sprintf("%016x", proof.Chain), Dropped: proof.Dropped,
		Codec: e.Codec, Schema: e.Schema, Data: e.Data,
	}, nil
}
