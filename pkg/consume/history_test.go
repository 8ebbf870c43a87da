package consume

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	histories   = flag.Int("histories", 3000, "so many histories, of the seeds from 1 on")
	historySeed = flag.Uint64("history", 0, "only the history of this seed, told step by step")
)

// epochStart is when the tests' logs begin.
var epochStart = time.Unix(1_700_000_000, 0)

var errRefused = errors.New("the handler refused")

// violated marks the output of a history that breaks a promise. The mutations are recognised by it.
const violated = "promise broken"

// The pipeline as a whole keeps its promises, whatever is lost, late, repeated, paused, killed or forgotten: publishers'
// windows, routers' gathers and permits, a log, deduplication, shards and a store, as they are, joined by a network and by
// processes that draw each step from a seed. Shards have no leases here: any process may claim any shard.
func TestHistories(t *testing.T) {
	if *historySeed != 0 {
		h := newHistory(*historySeed)
		h.tell = t.Logf
		require.Empty(t, h.run())
		return
	}
	tryHistories(t, *histories)
}

func TestLongHistories(t *testing.T) {
	tryHistories(t, 20_000*testkit.Long(t))
}

// tryHistories requires that no history of the first n seeds breaks a promise, and that what may happen happens in some.
func tryHistories(t *testing.T, n int) {
	t.Helper()
	total := make(map[string]int)
	for seed := uint64(1); seed <= uint64(n); seed++ {
		h := newHistory(seed)
		if broken := h.run(); broken != "" {
			t.Fatalf("%s by history %d: %s\nrun it alone: go test -run TestHistories ./consume -history=%d -v", violated, seed, broken, seed)
		}
		for what, n := range h.count {
			total[what] += n
		}
	}
	t.Logf("%d histories: %v", n, total)
	for _, what := range []string{
		"acknowledged", "refused", "given up", "not sent", "withdrawn", "taken by nobody", "sent again", "untold", "stray", "router died", "batch failed",
		"claimed anew", "committed", "commit repeated", "commit stale", "load stale", "idle stale", "set aside", "set aside as running", "parked", "dropped", "handler failed",
		"state not encoded", "state deleted", "undone", "failed behind", "committed in part", "paused", "owner died", "went back",
		"went back to an owner", "wiped", "torn", "commit torn", "load torn", "idle torn", "emptied",
		"retried", "result of a retry thrown away", "dropped by command", "command passed over", "command waited",
		"announcement outrun", "session renewed", "late", "duplicate",
		"shared feed opened", "seated", "message of a shared feed", "shared feed broke", "seat lost", "seat full",
	} {
		require.NotZero(t, total[what], "no history saw: %s", what)
	}
}

// Every run tries some histories that none has tried before.
func TestNewHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64Min(1).Draw(t, "seed")
		if broken := newHistory(seed).run(); broken != "" {
			t.Fatalf("%s by history %d: %s", violated, seed, broken)
		}
	})
}

// history is one interleaving of all that happens, drawn from a seed.
type history struct {
	rand    *rand.Rand
	now     time.Time // the broker's clock, and every other one that has no skew
	slow    bool      // hours and days pass too
	calm    bool      // a shard has one owner, and its slot is never disturbed: shards stay at the log's tip
	healing bool
	tell    func(string, ...any)
	count   map[string]int

	keys       int
	publishers []*source
	routers    []*relay
	copies     []copied // frames that routers took, by reply
	answers    []answer // on their way
	flights    []*flight
	log        []logged

	shards    int
	store     *storetest.Memory
	slots     []content // by shard
	moments   []moment
	deleting  int // the handler deletes a state once in so many events; 0: never
	revision  uint64
	announced []uint64 // by shard: the revision of the newest announcement
	fences    []uint64 // by shard: the largest that handlers were given
	owners    []*process
	desks     []*desk // by worker
	cacheMax  int64
	failing   int  // the handler fails once in so many attempts
	picky     bool // it drops some events, and parks the keys of others
	mended    bool // it parks no more

	asked   map[asked][]byte // the events that ask for receipts
	settled map[string]bool  // events that some commit has applied or dropped
	told    map[string]bool  // events whose receipts were sent
	doomed  map[string]bool  // events that some operator's command to drop names
}

// logged is a message of the log, whose stream sequence is its index + 1.
type logged struct {
	shard int
	message
}

type promise string

// broken ends a history.
func (h *history) broken(format string, args ...any) { panic(promise(fmt.Sprintf(format, args...))) }

func (h *history) note(what string) { h.count[what]++ }

func (h *history) say(format string, args ...any) {
	if h.tell != nil {
		h.tell("%s "+format, append([]any{h.now.Sub(epochStart)}, args...)...)
	}
}

// one is true once in n times, and never while healing.
func (h *history) one(n int) bool { return h.rand.IntN(n) == 0 && !h.healing }

func (h *history) shardOf(key []byte) int { return int(key[1]) % h.shards }

func newHistory(seed uint64) *history {
	r := rand.New(rand.NewPCG(seed, 1))
	h := &history{
		rand: r, now: epochStart, slow: r.IntN(4) == 0, count: make(map[string]int), keys: 1 + r.IntN(5), shards: 1 + r.IntN(3),
		store:    storetest.NewMemory(),
		cacheMax: []int64{1, 700, 1 << 20}[r.IntN(3)], failing: []int{5, 20, 60}[r.IntN(3)],
	}
	h.deleting, h.picky = []int{0, 3, 12}[r.IntN(3)], r.IntN(2) == 0
	h.asked, h.settled, h.told, h.doomed = make(map[asked][]byte), make(map[string]bool), make(map[string]bool), make(map[string]bool)
	if seed%4 == 0 {
		h.openDesks()
	}
	h.slots, h.announced, h.fences = make([]content, h.shards), make([]uint64, h.shards), make([]uint64, h.shards)
	for i := range 1 + r.IntN(3) {
		h.publishers = append(h.publishers, h.newSource(byte(i+1)))
	}
	for range 2 {
		h.routers = append(h.routers, h.newRelay())
	}
	h.moments = []moment{h.remember()}
	return h
}

// run returns what was broken, if anything.
func (h *history) run() (broken string) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case promise:
			broken = string(p)
		default:
			broken = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for range 500 {
		h.pass()
		h.step()
	}
	h.heal()
	h.check()
	return ""
}

// pass lets time go by, mostly a little.
func (h *history) pass() {
	d := 10 * time.Millisecond
	switch x := h.rand.IntN(1000); {
	case x < 3 && h.slow:
		d = 9 * 24 * time.Hour
	case x < 6 && h.slow:
		d = 8 * time.Hour
	case x < 9:
		d = 40 * time.Second
	case x < 20:
		d = 4 * time.Second
	case x < 80:
		d = 500 * time.Millisecond
	}
	h.now = h.now.Add(time.Duration(h.rand.Int64N(int64(d))))
}

func (h *history) step() {
	switch x := h.rand.IntN(1000); {
	case x < 240:
		pick(h, h.publishers).work()
	case x < 300:
		h.deliver()
	case x < 520:
		pick(h, h.routers).work()
	case x < 640:
		h.fly()
	case x < 660:
		h.moments = append(h.moments, h.remember())
	case x < 670 && !h.calm:
		h.goBack()
	case x < 674 && !h.calm:
		h.tear(h.rand.IntN(h.shards))
	case x < 690:
		if len(h.owners) < 3*h.shards {
			if n := h.rand.IntN(h.shards); !h.calm || !h.owned(n) {
				h.own(n)
			}
		}
	case x < 695:
		if i := h.rand.IntN(len(h.owners) + 1); i < len(h.owners) {
			h.note("owner died")
			h.say("owner %p of shard %d dies", h.owners[i], h.owners[i].n)
			h.owners[i].unseat()
			h.owners = append(h.owners[:i], h.owners[i+1:]...)
		}
	case x < 712:
		h.operate()
	case x < 713:
		h.mended = true
	case x < 740 && len(h.desks) > 0:
		pick(h, h.desks).work()
	default:
		if len(h.owners) > 0 {
			p := pick(h, h.owners)
			for range 1 + h.rand.IntN(4) {
				p.step()
			}
		}
	}
}

// owned tells whether a shard has an owner that is alive.
func (h *history) owned(n int) bool {
	return slices.ContainsFunc(h.owners, func(p *process) bool { return p.n == n })
}

func pick[T any](h *history, from []T) T { return from[h.rand.IntN(len(from))] }

// take removes a random one.
func take[T any](h *history, from *[]T) T {
	i := h.rand.IntN(len(*from))
	v := (*from)[i]
	last := len(*from) - 1
	(*from)[i] = (*from)[last]
	*from = (*from)[:last]
	return v
}

// copied is a frame as a router took it.
type copied struct {
	from    *source
	frame   uint64
	attempt int
	data    []byte
}

// answer is a router's answer on its way.
type answer struct {
	to     copied
	data   []byte
	nobody bool // it is the server's word that no router listens
}

// flight is a batch on its way to the log and back.
type flight struct {
	from   *relay
	b      *gather.Batch
	data   []byte
	stored bool
	ended  bool // the router has given up waiting, or is dead
}

// deliver hands a publisher an answer, or loses it.
func (h *history) deliver() {
	if len(h.answers) == 0 {
		return
	}
	a := take(h, &h.answers)
	if h.one(6) {
		return
	}
	decoded, err := frame.DecodeAnswer(a.data)
	if err != nil {
		h.broken("an answer cannot be read: %v", err)
	}
	a.to.from.answered(a.to, decoded, a.nobody)
}

// summary is a list of events for people.
func summary(state []byte) string {
	var b strings.Builder
	for ; len(state) >= 3; state = state[3:] {
		fmt.Fprintf(&b, " %d:%d", state[0], tagOf(state))
	}
	return b.String()
}
