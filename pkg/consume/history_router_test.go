package consume

import (
	"errors"
	"strconv"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/route/permit"
)

// relay is a router of a history: a gather and a permit as they are, in a process that pauses and dies.
type relay struct {
	h        *history
	g        *gather.Gather
	term     permit.Term
	renewals []permit.Instant // sent and not delivered
	inbox    []copied
	view     frame.Frame
}

func (h *history) newRelay() *relay {
	r := &relay{h: h, g: gather.New(1, h.shards, h.shardOf, 150+h.rand.IntN(400), 1000), term: permit.NewTerm(permit.TTL)}
	r.term.Renew(h.instant(), h.instant())
	return r
}

func (h *history) instant() permit.Instant {
	return permit.Instant{Mono: h.now.Sub(epochStart), Wall: h.now}
}

func (r *relay) permit() (term uint64, valid bool) { return r.term.Valid(r.h.instant()) }

// work is what a router does now and then.
func (r *relay) work() {
	h := r.h
	switch x := h.rand.IntN(100); {
	case x < 20:
		r.term.Renew(h.instant(), h.instant())
	case x < 25:
		r.renewals = append(r.renewals, h.instant())
	case x < 30:
		if len(r.renewals) > 0 {
			r.term.Renew(take(h, &r.renewals), h.instant())
		}
	case x < 31 && !h.healing:
		h.note("router died")
		h.say("router %p dies", r)
		for _, f := range h.flights {
			f.ended = f.ended || f.from == r
		}
		for i := range h.routers {
			if h.routers[i] == r {
				h.routers[i] = h.newRelay()
			}
		}
	default:
		if len(r.inbox) > 0 {
			r.take(take(h, &r.inbox))
		}
	}
}

// take is what Router.takeFrame does.
func (r *relay) take(c copied) {
	h := r.h
	if err := r.view.Decode(c.data); err != nil {
		h.broken("a frame cannot be read: %v", err)
	}
	term, valid := r.permit()
	if !valid {
		r.refuse(c, frame.Answer{Code: frame.Closing, Retry: true})
		return
	}
	if _, ok := gather.Age(r.view.Session, h.now); !ok {
		r.refuse(c, frame.Answer{Code: frame.SessionTooOld})
		return
	}
	if r.view.Session.Generation > 1 {
		h.note("session renewed")
	}
	h.copies = append(h.copies, c)
	leave, ok := r.g.Add(&r.view, strconv.Itoa(len(h.copies)-1), term, nil)
	if !ok {
		r.refuse(c, frame.Answer{Code: frame.Busy, Retry: true})
		return
	}
	h.say("router %p takes frame %d of publisher %d", r, c.frame, c.from.n)
	for _, b := range leave {
		r.store(b)
	}
}

func (r *relay) refuse(c copied, a frame.Answer) {
	r.h.answers = append(r.h.answers, answer{c, a.Append(nil), false})
}

// store is what Router.store does. The batch is then with the network, for any time.
func (r *relay) store(b *gather.Batch) {
	if !b.May(r.permit()) {
		r.ended(b, errNotStored)
		return
	}
	r.h.flights = append(r.h.flights, &flight{from: r, b: b, data: b.Data})
	b.Data = nil
}

var errNotStored = errors.New("not stored, or not known to be")

// ended is what Router.ended does.
func (r *relay) ended(b *gather.Batch, err error) {
	h := r.h
	term, valid := r.permit()
	var answered []*gather.Pending
	var next *gather.Batch
	a, untold := frame.Answer{}, 0
	if err == nil {
		answered, untold, next = r.g.Stored(b, term, valid, nil)
	} else {
		answered, next = r.g.Failed(b, nil)
		a = frame.Answer{Code: frame.LogError, Retry: true}
		h.note("batch failed")
	}
	h.count["untold"] += untold
	for _, p := range answered {
		n, err := strconv.Atoi(p.Reply)
		if err != nil {
			panic(err)
		}
		r.refuse(h.copies[n], a)
	}
	if next != nil {
		r.store(next)
	}
}

// fly brings a batch on: to the log, or its confirmation back, or loses either.
func (h *history) fly() {
	if len(h.flights) == 0 {
		return
	}
	i := h.rand.IntN(len(h.flights))
	f := h.flights[i]
	drop := func() { h.flights = append(h.flights[:i], h.flights[i+1:]...) }
	switch {
	case h.one(15) && !f.ended: // the router waits no longer; the batch may yet be stored
		f.ended = true
		f.from.ended(f.b, errNotStored)
	case f.stored && f.ended:
		drop()
	case f.stored:
		drop()
		f.ended = true
		f.from.ended(f.b, nil)
	case f.ended && h.one(4): // lost
		drop()
	default:
		h.land(f)
	}
}

// land stores a batch. While its router had no permit an epoch may have ended; then it lies behind the end, where no worker
// looks, and the log confirms it all the same.
func (h *history) land(f *flight) {
	f.stored = true
	if !f.b.May(f.from.permit()) && h.rand.IntN(2) == 0 {
		h.note("stray")
		h.say("a batch of shard %d is stored behind the end", f.b.Shard)
		return
	}
	h.log = append(h.log, logged{f.b.Shard, message{seq: uint64(len(h.log) + 1), time: h.now, data: f.data}})
	h.say("message %d: a batch of shard %d", len(h.log), f.b.Shard)
	if len(h.log) > 1 && h.log[len(h.log)-2].time.After(h.now) {
		h.broken("the log's time went back")
	}
	h.now = h.now.Add(time.Nanosecond)
}
