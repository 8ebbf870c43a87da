package consume

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// troubled is a handler whose attempts at an event fail so many times, in one way or another. A state is the ids of the
// events applied to it. Some events delete it.
type troubled struct {
	deletes   map[string]bool // by event
	drops     map[string]bool
	rand      *rand.Rand
	left      map[string]int // failures of Apply, by event
	unwritten map[string]int // of Encode, where the event is the state's newest
	unread    int            // of Decode
	flaky     int            // Apply fails once in so many attempts, also at an event that has succeeded; 0: never
	padding   int            // of a stored state
	slow      func()         // is called in every attempt
	succeeded map[string]int // attempts that succeeded, by event
}

func (h *troubled) fail(what string) error {
	if h.rand.IntN(3) == 0 {
		panic(what)
	}
	return errRefused
}

func (h *troubled) Decode(envelope []byte) (any, error) {
	if h.unread > 0 && h.rand.IntN(4) == 0 {
		h.unread--
		return nil, h.fail("decode")
	}
	state := new(ids)
	if text := strings.TrimRight(string(envelope), "."); text != "" {
		*state = strings.Split(text, ",")
	}
	return state, nil
}

func (h *troubled) Encode(b []byte, state any) ([]byte, error) {
	s := *state.(*ids)
	if newest := s[len(s)-1]; h.unwritten[newest] > 0 {
		h.unwritten[newest]--
		h.succeeded[newest]--
		return nil, h.fail("encode")
	}
	return append(append(b, strings.Join(s, ",")...), bytes.Repeat([]byte("."), h.padding)...), nil
}

func (h *troubled) Apply(_ context.Context, state any, ev Event) error {
	h.slow()
	s := state.(*ids)
	*s = append(*s, ev.ID())
	if h.left[ev.ID()] > 0 {
		h.left[ev.ID()]--
		return h.fail("apply")
	}
	if h.flaky > 0 && h.rand.IntN(h.flaky) == 0 {
		return h.fail("flaky")
	}
	h.succeeded[ev.ID()]++
	if h.drops[ev.ID()] {
		return fmt.Errorf("not wanted: %w", Drop(errRefused))
	}
	if h.deletes[ev.ID()] {
		return fmt.Errorf("closed: %w", Delete)
	}
	return nil
}

// differential runs a log through shards, one after the other and some at once, and holds each step against the reference.
type differential struct {
	t       *rapid.T
	rand    *rand.Rand
	log     []message
	want    *reference
	store   *storetest.Memory
	budget  budget
	h       *troubled
	faults  bool
	steady  bool            // the handler fails an event before it succeeds only, and only in Apply
	fails   map[string]bool // events that Apply fails at first
	beside  int             // attempts that run at a time
	held    int             // items that the store holds
	moments []kept
}

type kept struct {
	storetest.Snapshot
	held int
}

func (d *differential) one(n int) bool { return d.faults && d.rand.IntN(n) == 0 }

// own works off the log until it is done or the ownership ends.
func (d *differential) own() (done bool) {
	s := claim(d.t, d.store, &d.budget)
	defer s.cache.clear()
	d.h.slow = func() {
		if d.rand.IntN(20) == 0 {
			s.spent.Store(true)
		}
	}
	next := slices.IndexFunc(d.log, func(m message) bool { return m.seq > s.position.Seq })
	r := testRound()
	for next >= 0 && next < len(d.log) {
		n := min(len(d.log), next+1+d.rand.IntN(6))
		r.reset()
		for _, m := range d.log[next:n] {
			require.NoError(d.t, r.add(m))
		}
		if !d.work(s, r, d.want.first[next], n) {
			return false
		}
		next = n
	}
	return true
}

// work is Worker.work, for a round whose first item is the log's at base, and whose messages are those before last.
func (d *differential) work(s *shard, r *round, base, last int) bool {
	clear(d.h.succeeded)
	careful, idle := s.careful, 0
	for {
		if d.one(30) {
			d.moments = append(d.moments, kept{d.store.Snapshot(), d.held})
		}
		if d.one(60) {
			m := d.moments[d.rand.IntN(len(d.moments))]
			d.store.Restore(m.Snapshot)
			d.held = m.held
		}
		if d.one(60) {
			claim(d.t, d.store, &d.budget)
		}
		if err := load(d.t, d.store, s, r); err != nil {
			require.ErrorIs(d.t, err, store.ErrStale)
			return false
		}
		s.spent.Store(d.rand.IntN(20) == 0) // from the beginning
		d.pass(s, r)
		d.checkCache(s, r, base)
		c, end := s.commit(d.h, r, epochStart)
		d.checkCache(s, r, base)
		if c == nil {
			idle++
			require.LessOrEqual(d.t, idle, len(r.items)+2, "it goes round and round")
			continue
		}
		idle = 0
		if !d.commit(s, r, c, base, end, last) {
			return false
		}
		d.checkCache(s, r, base)
		if r.done() {
			d.checkRuns(r, base, careful)
			return true
		}
	}
}

// pass makes attempts of different keys that end in any order. Some are set aside while they run.
func (d *differential) pass(s *shard, r *round) {
	s.beginPass(r)
	if d.beside > 1 {
		s.beside(d.h, r)
	}
	var under []*attempt
	for {
		if len(under) == 0 || len(under) < d.beside && d.rand.IntN(2) == 0 {
			a := new(attempt)
			if s.begin(r, a) {
				under = append(under, a)
				continue
			}
			if len(under) == 0 {
				return
			}
		}
		n := d.rand.IntN(len(under))
		a := under[n]
		under = slices.Delete(under, n, n+1)
		if d.beside > 1 && !d.steady && d.rand.IntN(30) == 0 {
			r.lent = true
			s.overdue(r, a, new(call))
			continue
		}
		res := a.run(background, d.h)
		s.ended(r, a, &res)
	}
}

// commit makes a commit, and looks what the store then has.
func (d *differential) commit(s *shard, r *round, c *store.Commit, base, end, last int) bool {
	require.True(d.t, end > r.next || r.done(), "an empty commit")
	receipts, count, news := make(map[receiptTo][]uint64), tally{}, 0
	for i := r.next; i < end; i++ {
		f := d.want.fates[base+i]
		switch {
		case f.late:
			count.late++
		case f.closed:
			count.suspect.closed++
		case f.applied && base+i >= d.held:
			news++
			if r.items[i].outcome != setAside {
				r.receipt(receipts, &r.items[i])
			}
		default:
			count.duplicates++
		}
	}
	standing, held := s.version, d.held
	if err := d.store.At("one").Commit(context.Background(), c); err != nil {
		require.ErrorIs(d.t, err, store.ErrStale)
		return false
	}
	if d.one(4) {
		require.NoError(d.t, d.store.At("one").Commit(context.Background(), c), "the answer was lost")
	}
	require.Equal(d.t, standing, c.Old)
	d.held = max(held, base+end)
	if d.one(40) {
		return false // killed before it knew
	}
	require.Equal(d.t, receipts, s.receipts)
	require.Equal(d.t, count.late, s.tally.late)
	require.Equal(d.t, count.late, int(c.Late-s.late))
	if held <= base { // else an item that was closed may be seen as a copy, and the other way round
		require.Equal(d.t, count.duplicates, s.tally.duplicates)
		require.Equal(d.t, count.suspect.closed, s.tally.suspect.closed)
	}
	require.Equal(d.t, news, end-r.next-s.tally.duplicates-s.tally.late-s.tally.suspect.closed)
	s.committed(c, r, end)

	owed, err := decodeOwed(c.Owed)
	require.NoError(d.t, err)
	require.Equal(d.t, receipts, owed)
	d.checkStore()
	record := make(map[string]string)
	require.NoError(d.t, d.store.At("one").Publishers(context.Background(), s.n, s.version, func(id string, encoded []byte) (bool, error) {
		publisher, err := frame.ParsePublisherID(id)
		record[id] = meaning(publisher, encoded)
		return true, err
	}))
	require.Equal(d.t, d.want.record(d.held), record, "the record is that of the states, item %d", d.held)
	require.Equal(d.t, d.want.position(base+end, last), s.position.Seq)
	return true
}

// drawTroubles draws a shard's log, and a handler that has troubles with some of its events.
func drawTroubles(t *rapid.T, faults bool) *differential {
	d := &differential{t: t, rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), store: storetest.NewMemory(), faults: faults, fails: make(map[string]bool)}
	d.budget.max = rapid.SampledFrom([]int64{1, 700, 1 << 20}).Draw(t, "cache bytes")
	d.log = drawLog(t)
	for i := range d.log {
		switch m := &d.log[i]; rapid.IntRange(0, 11).Draw(t, "another message") {
		case 0:
			m.data, m.header = []byte("foreign"), nil
		case 1:
			m.data, m.header = batch(), nil
		case 2, 3:
			if m.header != nil {
				continue
			}
			late := sent{publisher: 9, generation: 1, floor: 1, birth: epochStart.Add(-8 * 24 * time.Hour), events: []sentEvent{{seq: 1, key: "a", receipt: true}}}
			m.data = append(batch(late), m.data[len(batch()):]...)
		}
	}
	d.want = newReference(t, d.log)
	d.moments = []kept{{d.store.Snapshot(), 0}}
	d.h = &troubled{deletes: d.want.deletes, drops: d.want.drops, rand: d.rand, left: make(map[string]int), unwritten: make(map[string]int), succeeded: make(map[string]int)}
	d.steady = rapid.Bool().Draw(t, "steady")
	if n := rapid.SampledFrom([]int{0, 3, 10}).Draw(t, "one of so many deletes"); n > 0 {
		for _, id := range d.want.ids {
			d.want.deletes[id] = d.want.deletes[id] || d.rand.IntN(n) == 0 // an event may have copies
		}
	}
	if n := rapid.SampledFrom([]int{0, 10}).Draw(t, "one of so many is given up"); n > 0 {
		for _, id := range d.want.ids {
			d.want.drops[id] = d.want.drops[id] || d.rand.IntN(n) == 0
		}
	}
	d.beside = rapid.SampledFrom([]int{1, 2, 5}).Draw(t, "attempts side by side")
	often := rapid.SampledFrom([]int{2, 5, 20}).Draw(t, "one of so many fails")
	for _, id := range d.want.ids {
		if d.rand.IntN(often) == 0 {
			d.h.left[id] = 1 + d.rand.IntN(4)
			d.fails[id] = true
		}
		if !d.steady && d.rand.IntN(2*often) == 0 {
			d.h.unwritten[id] = 1 + d.rand.IntN(4)
		}
	}
	if !d.steady {
		d.h.unread = d.rand.IntN(5)
		d.h.flaky = rapid.SampledFrom([]int{0, 5, 30}).Draw(t, "flaky")
	}
	if rapid.IntRange(0, 40).Draw(t, "large states") == 0 {
		d.h.padding = maxResults / 3
	}
	return d
}

// However the handler fails, each commit is a prefix of the log, with the states and the deduplication record of
// just that prefix; the cache holds what it is said to hold; and no event is applied more often than it must be.
func TestPassesAgainstAReference(t *testing.T) {
	for name, faults := range map[string]bool{"one owner": false, "owners die and the store goes back": true} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				d := drawTroubles(t, faults)
				for owners := 0; !d.own(); owners++ {
					require.True(t, faults)
					require.Less(t, owners, 10_000)
				}
				require.Equal(t, len(d.want.ids), d.held)
				d.checkStore()
				require.Equal(t, d.log[len(d.log)-1].seq, claim(t, d.store, &d.budget).position.Seq)
				require.Zero(t, d.budget.used.Load())
			})
		})
	}
}
