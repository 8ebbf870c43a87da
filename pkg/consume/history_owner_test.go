package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// process is an owner of a shard that does what owner.run does, step by step. Between any two steps it may be paused,
// for as long as it likes, while others own the shard too.
type process struct {
	h    *history
	n    int
	next func(*process) // the step that follows

	revision uint64
	torn     store.Markers // of the slot that was found torn
	budget   budget
	s        *shard
	r        *round
	under    []*attempt // under way
	works    []*call    // at lists, likewise
	read     int        // so many messages of the log have arrived
	last     mark       // the newest message that the round took
	desk     *desk      // nil: shards share no feed
	seat     *seat      // in the shared feed, or nil
	sits     bool       // it has no feed of its own
	c        *store.Commit
	end      int // of the items that the commit covers
}

// own begins another ownership of a shard.
func (h *history) own(n int) *process {
	p := &process{h: h, n: n, next: (*process).announce, budget: budget{max: h.cacheMax}}
	if len(h.desks) > 0 {
		p.desk = pick(h, h.desks)
	}
	h.owners = append(h.owners, p)
	return p
}

func (p *process) step() { p.next(p) }

// view is the store as the process sees it.
func (p *process) view() store.Store { return p.h.store.At("one") }

// anew drops all that the process knows, as owner.run does after an error.
func (p *process) anew(why string) {
	p.h.note(why)
	p.h.say("owner %p of shard %d begins anew: %s", p, p.n, why)
	if p.s != nil {
		p.s.cache.clear()
	}
	p.unseat()
	p.s, p.r, p.c, p.next = nil, nil, nil, (*process).announce
	p.h.note("claimed anew")
	if !p.h.healing && p.h.rand.IntN(4) > 0 { // the rest give up, so that the shard's owner gets somewhere
		p.h.owners = slices.DeleteFunc(p.h.owners, func(o *process) bool { return o == p })
	}
}

func (p *process) announce() {
	p.h.revision++
	p.revision = p.h.revision
	p.h.announced[p.n] = p.revision
	p.next = (*process).claim
}

func (p *process) claim() {
	version, fresh := store.NewVersion(), p.h.unclaimed(p.n)
	rec, err := p.view().Claim(context.Background(), p.n, p.revision, version)
	if errors.Is(err, store.ErrTorn) {
		p.torn, p.next = store.MarkersOf(err), (*process).empty
		return
	}
	if err != nil {
		p.h.broken("claim: %v", err)
	}
	slot := &p.h.slots[p.n]
	if slot.version = version; fresh {
		slot.keys = nil
	}
	p.s, p.under, p.works = claimed(p.n, rec, &p.budget), nil, nil
	p.s.rules = retryRules{attempts: 3}
	p.next = (*process).restore
}

// empty is what emptyTorn does. The log reaches back to its beginning.
func (p *process) empty() {
	switch err := p.view().Empty(context.Background(), p.n, p.torn); {
	case errors.Is(err, store.ErrStale):
		p.anew("emptied late")
	case err != nil:
		p.h.broken("empty a slot: %v", err)
	default:
		p.anew("emptied")
	}
}

func (p *process) restore() {
	p.next = (*process).confirm
	err := p.view().Publishers(context.Background(), p.n, p.s.version, p.s.restore)
	if err == nil {
		err = p.view().Heads(context.Background(), p.n, p.s.version, p.s.restoreList)
	}
	switch {
	case errors.Is(err, store.ErrStale):
		p.anew("record stale")
	case err != nil:
		p.h.broken("read publishers and lists: %v", err)
	}
}

// confirm is what confirm does.
func (p *process) confirm() {
	if p.h.announced[p.n] != p.revision {
		p.anew("announcement outrun")
		return
	}
	p.h.revision++
	p.revision, p.h.announced[p.n] = p.h.revision, p.h.revision
	if p.revision < p.s.fence {
		return
	}
	if p.s.fence <= p.h.fences[p.n] {
		p.h.broken("fence of shard %d: handlers will see %d after %d", p.n, p.s.fence, p.h.fences[p.n])
	}
	p.h.fences[p.n] = p.s.fence
	p.h.tellSettled(p.s.owed) // the owner before may have died before it did
	p.next = (*process).place
}

// place finds the shard's place in the log, as owner.findPlace does.
func (p *process) place() {
	s := p.s
	p.h.say("owner %p owns shard %d with fence %d from position %d", p, p.n, s.fence, s.position.Seq)
	p.r = &round{at: frame.Place{Epoch: 1, Shard: p.n}, owns: func(key []byte) bool { return p.h.shardOf(key) == p.n }}
	p.unseat()
	p.read, p.last = max(0, int(s.start())-1), mark{}
	for !s.position.Time.IsZero() {
		m := p.arrive()
		switch {
		case m == nil:
			p.h.broken("shard %d is stopped: its place, message %d, is not in the log", p.n, s.position.Seq)
		case m.seq > s.position.Seq:
			p.h.broken("shard %d is stopped: at its place %d is message %d", p.n, s.position.Seq, m.seq)
		case m.seq == s.position.Seq && !m.time.Equal(s.position.Time):
			p.h.broken("shard %d is stopped: at its place is a message of another time", p.n)
		}
		if p.last = (mark{m.seq, m.time}); m.seq == s.position.Seq {
			break
		}
	}
	p.next = (*process).fill
}

// arrive returns the shard's next message, or nil.
func (p *process) arrive() *message {
	for ; p.read < len(p.h.log); p.read++ {
		if m := &p.h.log[p.read]; m.shard == p.n {
			p.read++
			return &m.message
		}
	}
	return nil
}

// fill takes what has arrived. Now and then the intake is paused: then nothing of it is begun, and the shard's place is to
// be found again, under the same claim.
func (p *process) fill() {
	if len(p.s.lists) > 0 && p.h.one(3) {
		p.tend()
		return
	}
	p.share()
	for range 1 + p.h.rand.IntN(4) {
		m, ok := p.arrived()
		if !ok {
			return
		}
		if m == nil {
			break
		}
		if err := p.r.add(*m); err != nil {
			p.h.broken("message %d cannot be read: %v", m.seq, err)
		}
	}
	if len(p.r.msgs) == 0 {
		if !p.h.healing && p.h.rand.IntN(4) > 0 {
			return
		}
		p.verify("idle")
		return
	}
	if p.h.one(20) {
		p.h.note("paused")
		p.next = (*process).place
		return
	}
	p.next = (*process).load
}

// verify is what owner.checkVersion does.
func (p *process) verify(when string) {
	if p.view().Verify(context.Background(), p.n, p.s.version) != nil {
		p.stale(when)
	}
}

// stale drops everything after store.ErrStale.
func (p *process) stale(when string) {
	if p.h.slots[p.n].version == p.s.version {
		p.anew(when + " torn")
	} else {
		p.anew(when + " stale")
	}
}

func (p *process) load() {
	if p.r.items[p.r.next].command {
		p.order()
		return
	}
	p.next = (*process).apply
	keys := p.s.missing(p.r)
	if len(keys) == 0 {
		return
	}
	states, err := p.view().Load(context.Background(), p.n, p.s.version, keys)
	if err != nil {
		p.stale("load")
		return
	}
	p.s.fill(states)
}

// apply begins a pass.
func (p *process) apply() {
	p.s.spent.Store(false)
	p.s.beginPass(p.r)
	p.next = (*process).attempt
}

// attempt begins an attempt or ends one of those under way, of different keys, as it comes. Now and then one takes so long that it is
// set aside while it runs.
func (p *process) attempt() {
	if len(p.under) < 3 && p.h.rand.IntN(2) == 0 || len(p.under) == 0 {
		a := new(attempt)
		if p.s.begin(p.r, a) {
			p.under = append(p.under, a)
			return
		}
		if len(p.under) == 0 {
			p.ended()
			return
		}
	}
	a := take(p.h, &p.under)
	if p.h.one(60) {
		p.h.note("set aside as running")
		p.s.overdue(p.r, a, new(call))
		return
	}
	res := a.run(context.Background(), ledger{p.h, p.s})
	p.s.ended(p.r, a, &res)
}

func (p *process) ended() {
	failures := p.s.pass.failures
	for i := range failures {
		err := failures[i].err
		if !errors.Is(err, errRefused) && !errors.Is(err, errRunning) {
			p.h.broken("apply: %v", err)
		}
		if failures[i].item > p.r.next {
			p.h.note("failed behind")
		}
	}
	p.next = (*process).prepare
}

// prepare makes a commit of the pass's outcomes, as owner.work does.
func (p *process) prepare() {
	if p.c, p.end = p.s.commit(ledger{p.h, p.s}, p.r, p.h.now); p.c == nil && p.end > p.r.next {
		p.h.note("undone")
	}
	if p.c != nil {
		if p.end < p.r.seen {
			p.h.note("committed in part")
		}
		p.next = (*process).commit
		return
	}
	p.next = (*process).load
}

func (p *process) commit() {
	c := p.c
	if p.view().Commit(context.Background(), c) != nil {
		p.stale("commit")
		return
	}
	switch slot := p.h.slots[p.n]; slot.version {
	case c.Old:
		p.h.note("committed")
		after, by := slot.apply(p.h, c.New, p.r, p.end)
		p.h.hold(p.n, after, by)
		p.h.owes(c.Owed, by.settled)
	case c.New:
		p.h.note("commit repeated")
	default:
		p.h.broken("shard %d has two owners: a commit was made that names another version than the last one's", p.n)
	}
	p.h.say("owner %p of shard %d commits up to %d: %d states", p, p.n, c.Position.Seq, len(c.States))
	if !p.h.one(10) { // else the store's answer is lost, and the call repeated
		p.next = (*process).committed
	}
}

func (p *process) committed() {
	t := p.s.tally
	if t.late != int(p.c.Late-p.s.late) {
		p.h.broken("a commit counts %d late events, and tells of %d", p.c.Late-p.s.late, t.late)
	}
	p.h.count["late"] += t.late
	p.h.count["duplicate"] += t.duplicates
	p.h.count["closed"] += t.suspect.closed
	if t.suspect.jumps > 0 {
		p.h.broken("a floor is taken for forged: %s", t.suspect.jumpLast)
	}
	p.s.committed(p.c, p.r, p.end)
	p.h.tellSettled(p.c.Owed)
	p.next = (*process).load
	if p.r.done() {
		p.r.reset()
		p.next = (*process).fill
	}
	if len(p.s.lists) > 0 && p.h.one(3) {
		p.next = (*process).tend
	}
}

// ledger is the handler of a history: a key's state is what was applied to it, in order, since some event deleted it. It fails
// now and then, when it has changed the state already, or cannot encode it, and now and then takes its time.
type ledger struct {
	h *history
	s *shard
}

func (ledger) Decode(envelope []byte) (any, error) {
	state := append([]byte(nil), envelope...)
	return &state, nil
}

func (l ledger) Encode(b []byte, state any) ([]byte, error) {
	if l.h.one(3 * l.h.failing) {
		l.h.note("state not encoded")
		return nil, errRefused
	}
	return append(b, *state.(*[]byte)...), nil
}

func (l ledger) Apply(_ context.Context, state any, ev Event) error {
	s := state.(*[]byte)
	*s = append(*s, ev.Data...)
	if l.h.one(20) {
		l.s.spent.Store(true)
	}
	switch {
	case l.h.parks(ev.Data) && !l.h.mended:
		l.h.note("parked")
		return Park(errRefused)
	case l.h.one(l.h.failing):
		l.h.note("handler failed")
		return fmt.Errorf("%w: %s", errRefused, ev.ID())
	case l.h.drops(ev.Data):
		return Drop(errRefused)
	case l.h.deletes(ev.Data):
		l.h.note("state deleted")
		return fmt.Errorf("%w: %s", Delete, ev.ID())
	}
	return nil
}
