package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// source is a publisher's program.
type source struct {
	*actor
	n int
	p *publish.Publisher

	mu     sync.Mutex // guards what follows
	posted []*posted
}

type posted struct {
	key     string
	outcome outcome
}

type outcome int

const (
	unresolved outcome = iota
	acknowledged
	unknown
	never
)

func (f *flow) publisher() *source {
	s := &source{n: len(f.publishers)}
	timeout := pick(f.World, []time.Duration{time.Second, 4 * time.Second, 30 * time.Second})
	s.actor = f.add("publisher", func(*Process) func(context.Context, *nats.Conn) (func(context.Context) error, error) {
		return func(ctx context.Context, nc *nats.Conn) (func(context.Context) error, error) {
			p, err := publish.New(nc, publish.Config{App: "app", DeliveryTimeout: timeout, OnResolve: s.resolved})
			if err != nil {
				panic(err)
			}
			s.p = p
			return p.Stop, p.Start(ctx)
		}
	})
	return s
}

func (s *source) resolved(h *publish.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.posted[h.Tag]
	switch err := h.Err(); {
	case err == nil:
		e.outcome = acknowledged
	case errors.Is(err, publish.ErrUnknown):
		e.outcome = unknown
	default:
		e.outcome = never
	}
}

// post sends an event.
func (f *flow) post(s *source) {
	if s.Dead() {
		return
	}
	tag := len(s.posted)
	key := string(rune('a' + f.Rand.IntN(4)))
	f.Say("%s sends event %d of key %s", s.Name, tag, key)
	s.mu.Lock()
	s.posted = append(s.posted, &posted{key: key})
	s.mu.Unlock()
	data := binary.BigEndian.AppendUint16([]byte{byte(s.n)}, uint16(tag))
	if _, err := s.p.Publish(background, publish.Event{Key: key, Data: data, Tag: uint64(tag)}); err != nil {
		panic(err)
	}
}

// step lets something happen.
func (f *flow) step() {
	gap := []time.Duration{300 * time.Microsecond, 3 * time.Millisecond, 100 * time.Millisecond, 1500 * time.Millisecond}
	f.wait(pick(f.World, gap))
	if f.moody && f.Rand.IntN(4) == 0 {
		f.operate()
	}
	switch x := f.Rand.IntN(100); {
	case x < 45:
		for range 1 + f.Rand.IntN(3) {
			f.post(pick(f.World, f.publishers))
		}
	case x < 75:
		f.hurt(pick(f.World, f.all))
	case x < 85:
		f.remember()
	case x < 88:
		f.goBack()
	case x < 90:
		f.tear()
	case x < 92:
		f.breakFor(f.server.Down, f.server.Serve, pick(f.World, gap))
	case x < 94:
		f.breakFor(f.locks.Down, f.locks.Serve, 8*pick(f.World, gap))
	case x < 96:
		f.breakFor(f.Broker.Stop, f.Broker.Start, pick(f.World, gap))
	default:
		for _, a := range f.all {
			if !a.trapped {
				a.release()
			}
		}
	}
}

func (f *flow) breakFor(down, up func(), d time.Duration) {
	down()
	f.wait(d)
	up()
}

// hurt does something to a process, or ends what was done.
func (f *flow) hurt(a *actor) {
	x := f.Rand.IntN(10)
	switch {
	case a.Dead() || a.leaving:
	case a.held():
		if x < 6 && !a.trapped {
			a.release()
		}
	case x < 5:
		a.Pause()
	case x < 7:
		a.Stall()
	case x < 9:
		a.Cut()
	default:
		f.replace(a)
	}
}

// replace kills a process. Another takes its place.
func (f *flow) replace(a *actor) {
	for _, kind := range []struct {
		of    *[]*actor
		name  string
		begin func(*Process) func(context.Context, *nats.Conn) (func(context.Context) error, error)
	}{{&f.routers, "router", f.router}, {&f.workers, "worker", f.worker}} {
		if i := slices.Index(*kind.of, a); i >= 0 {
			a.kill()
			(*kind.of)[i] = f.add(kind.name, kind.begin)
		}
	}
}

// heal ends all faults, and waits until all is resolved and applied.
func (f *flow) heal() {
	f.Say("healing")
	f.Trap, f.Lose = nil, nil
	for _, a := range f.all {
		a.release()
	}
	f.until(50*time.Second, "not every event is resolved", func() bool {
		for _, s := range f.publishers {
			s.mu.Lock()
			open := slices.ContainsFunc(s.posted, func(e *posted) bool { return e.outcome == unresolved })
			s.mu.Unlock()
			if open {
				return false
			}
		}
		return true
	})
	if !f.worked {
		return
	}
	f.mu.Lock()
	f.mended = true
	f.mu.Unlock()
	within := 40 * time.Second
	if f.moody {
		within = 200 * time.Second // a handler that hangs, and ten retries
	}
	f.until(within, "not every shard has come to the end of its log and its lists", func() bool { return f.atEnd() && f.worksOff() })
}

// atEnd tells whether every shard has come to the end of its log.
func (f *flow) atEnd() bool {
	shards, err := f.kept.At("").Shards(background, f.shards)
	if err != nil {
		panic(err)
	}
	log := f.Broker.stream(topology.StreamName("app", 1, 0))
	if log == nil {
		return false
	}
	for i, s := range shards {
		if s.Position.Seq < log.newest[topology.WorkSubject("app", 1, 0, i)] || f.torn(i) {
			return false
		}
	}
	return true
}

func (f *flow) until(within time.Duration, what string, so func() bool) {
	until := f.Elapsed() + within
	over := false
	f.RunUntil(func() bool {
		over = f.Elapsed() >= until
		return over || so()
	})
	if over {
		broken("%s, %s after all is well again", what, within)
	}
}

// made are the events that the log has for each key, each once, in order.
func (f *flow) made() map[string][]byte {
	log := f.Broker.stream(topology.StreamName("app", 1, 0))
	if log == nil {
		return nil // no router has come so far
	}
	made := make(map[string][]byte)
	records := make(map[string]*dedup.Record)
	for _, m := range log.messages {
		if !strings.HasPrefix(m.subject, "app.work.") || headerOf(m.header, frame.HeaderKind) == frame.KindCommand {
			continue
		}
		if records[m.subject] == nil {
			records[m.subject] = new(dedup.Record)
		}
		var part frame.Frame
		if err := frame.Parts(m.data, &part, func(p *frame.Frame) error {
			publisher, verdict := records[m.subject].Part(p.Session, p.Floor, m.at)
			for i := range p.Events {
				if verdict == dedup.Open && publisher.Admit(p.Events[i].Seq) {
					made[string(p.Events[i].Key)] = append(made[string(p.Events[i].Key)], p.Events[i].Data...)
				}
			}
			return nil
		}); err != nil {
			broken("message %d cannot be read: %v", m.seq, err)
		}
	}
	return made
}

// check holds what was applied against what was sent.
func (f *flow) check() {
	made := f.made()
	if f.worked {
		f.compare(made)
	}
	applied := make(map[string]bool) // by an event's data
	for _, key := range slices.Sorted(maps.Keys(made)) {
		last := make(map[byte]int)
		for events := made[key]; len(events) > 0; events = events[3:] {
			n, tag := events[0], int(binary.BigEndian.Uint16(events[1:]))
			e := f.publishers[n].posted[tag]
			switch {
			case e.key != key:
				broken("event %d of publisher %d, of key %s, is applied to key %s", tag, n, e.key, key)
			case applied[string(events[:3])]:
				broken("twice: event %d of publisher %d is applied to key %s again:%s", tag, n, key, summary(made[key]))
			case tag+1 < last[n]:
				broken("order: event %d of publisher %d is applied to key %s behind a later one:%s", tag, n, key, summary(made[key]))
			case e.outcome == never:
				broken("event %d of publisher %d was said not to be stored, and is applied", tag, n)
			}
			last[n], applied[string(events[:3])] = tag+1, true
		}
	}
	for _, s := range f.publishers {
		for tag, e := range s.posted {
			f.Note(map[outcome]string{acknowledged: "acknowledged", unknown: "given up", never: "not sent"}[e.outcome])
			data := binary.BigEndian.AppendUint16([]byte{byte(s.n)}, uint16(tag))
			if e.outcome == acknowledged && !applied[string(data)] {
				broken("lost: event %d of publisher %d, key %s, was acknowledged", tag, s.n, e.key)
			}
		}
	}
}

// summary is a list of events for people.
func summary(state []byte) string {
	var b strings.Builder
	for ; len(state) >= 3; state = state[3:] {
		fmt.Fprintf(&b, " %d:%d", state[0], binary.BigEndian.Uint16(state[1:]))
	}
	return b.String()
}
