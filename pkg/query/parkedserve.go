package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/micro"
)

// ErrNotOwner means that a worker does not own the shard that it was asked to do something for.
var ErrNotOwner = errors.New("this worker does not own the shard")

// Owner is what a worker does at an operator's request for a shard that it owns. It serves shards that have reached one of their
// caps: a command in such a shard's log would wait behind what the shard does not take. Both functions may be called
// concurrently, and return ErrNotOwner, also wrapped, if the worker does not own the shard: it gives no answer then.
type Owner struct {
	// Raise raises the shard's caps, where by is above them, and returns those that are in force then.
	Raise func(ctx context.Context, shard int, by topology.Caps) (topology.Caps, error)
	// Drop marks events that wait as to be dropped, as the same command in the log would.
	Drop func(ctx context.Context, shard int, c frame.Command) error
}

// SetOwner says what the worker does as the owner of shards. It is called before Start; without it such requests get no answer.
func (s *Server) SetOwner(o Owner) { s.owner = o }

// addShared adds an endpoint where one of all workers answers, and one where every worker does, for clients whose first request
// found none that may.
func (s *Server) addShared(name string, answer micro.HandlerFunc) {
	s.service.add(name, "query", s.one(answer))
	s.service.add(name+anySuffix, "", s.any(answer))
}

// lists returns the reader for this server's answers.
func (s *Server) lists() lists { return lists{s.store, s.ring, s.limit()} }

func (s *Server) answerLists(r micro.Request) {
	answerTo(s, r, s.lists().checkLists, s.lists().page)
}

func (s *Server) answerEvents(r micro.Request) {
	answerTo(s, r, s.lists().checkEvents, s.lists().events)
}

// answerTo reads a request, checks it, and answers it with what do returns.
func answerTo[Request, Reply any](s *Server, r micro.Request, check func(Request) error, do func(context.Context, Request) (Reply, error)) {
	var req Request
	err := json.Unmarshal(r.Data(), &req)
	if err == nil {
		err = check(req)
	} else {
		err = fmt.Errorf("not a request: %w", err)
	}
	if err != nil {
		_ = r.Error("400", err.Error(), nil)
		return
	}
	ctx, cancel := context.WithTimeout(s.serving, serveTime)
	defer cancel()
	out, err := do(ctx, req)
	if errors.Is(err, ErrNotOwner) {
		return // its owner answers
	}
	if err != nil {
		_ = r.Error("500", err.Error(), nil)
		return
	}
	s.respond(r, out)
}

// respond sends an answer, if a message can hold it.
func (s *Server) respond(r micro.Request, out any) {
	b, err := json.Marshal(out)
	if err != nil {
		_ = r.Error("500", err.Error(), nil)
		return
	}
	if len(b) > s.limit() {
		_ = r.Error(codeTooLarge, fmt.Sprintf("the answer has %d bytes, a message holds at most %d: ask for fewer keys", len(b), s.limit()), nil)
		return
	}
	_ = r.Respond(b)
}

// answerRaise leaves the answer to the shard's owner.
func (s *Server) answerRaise(r micro.Request) {
	answerTo(s, r, s.checkRaise, func(ctx context.Context, req raiseRequest) (raiseRequest, error) {
		if s.owner.Raise == nil {
			return raiseRequest{}, ErrNotOwner
		}
		caps, err := s.owner.Raise(ctx, req.Shard, topology.Caps{Keys: req.Keys, Events: req.Events})
		return raiseRequest{Shard: req.Shard, Keys: caps.Keys, Events: caps.Events}, err
	})
}

// answerDrop leaves the answer to the shard's owner.
func (s *Server) answerDrop(r micro.Request) {
	answerTo(s, r, func(req dropRequest) error { return req.command().Check() },
		func(ctx context.Context, req dropRequest) (struct{}, error) {
			if s.owner.Drop == nil {
				return struct{}{}, ErrNotOwner
			}
			return struct{}{}, s.owner.Drop(ctx, s.ring.Shard(req.Key), req.command())
		})
}

func (d dropRequest) command() frame.Command {
	return frame.Command{Op: frame.CommandDrop, Key: d.Key, First: d.First, Last: d.Last, Count: d.Count}
}

func (s *Server) checkRaise(req raiseRequest) error {
	const how = `send {"shard":0,"keys":20000} or {"shard":0,"events":8000000}`
	if n := len(s.ring.Shards()); req.Shard < 0 || req.Shard >= n {
		return fmt.Errorf("there are shards 0 to %d: %s", n-1, how)
	}
	if req.Keys == 0 && req.Events == 0 {
		return fmt.Errorf("the request raises nothing: %s", how)
	}
	return nil
}
