//go:build !determined

package sim

import (
	"os/exec"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// mutation takes one rule of the shells away. The histories of a kind must find it.
type mutation struct {
	name  string
	kind  string // of the histories
	edits []testkit.Edit
	rare  bool // it takes tens of thousands of histories
}

func in(file, old, new string) []testkit.Edit {
	return []testkit.Edit{{File: file, Old: old, New: new}}
}

// resent changes the frames that are sent again.
func resent(code string) []testkit.Edit {
	return []testkit.Edit{
		{File: "internal/window/late.go", Old: "	for _, f := range o.Again {\n", New: code},
		{File: "internal/window/late.go", Old: "	\"time\"\n)", New: "	\"time\"\n\n	\"example.com/lockstep/pkg/frame\"\n)"},
	}
}

var deafOwner = in("group/seat.go", "func() { cancel(context.Cause(held.Context())) }", "func() {}")

var mutations = []mutation{
	{name: "the member that unlocks for a dead one does not look whose lease it is", kind: "Group", edits: in("lease/lease.go",
		`strings.HasPrefix(value, holder+"/")`, `strings.Contains(value, "/")`)},
	{name: "a prober judges though its own connection is young", kind: "Group", edits: in("group/probe.go",
		"if now.Sub(up) < steadyBefore {", "if false {")},
	{name: "an owner does not hear that its lease is lost", kind: "Group", edits: deafOwner},
	{name: "a lease that was lost is taken again by renewing it", kind: "Group", edits: in("lease/lease.go",
		"redsync.WithTries(1))...)", "redsync.WithTries(1), redsync.WithSetNXOnExtend())...)")},
	{name: "a release is not announced", kind: "Group", edits: in("group/seat.go",
		"b, err := json.Marshal(shards)", "b, err := json.Marshal(shards[:0])")},
	{name: "a member that is not among the members does not join again", kind: "Group", edits: in("group/members.go",
		"	go g.rejoin()", "	g.rejoins.Done()")},
	{name: "who left while the connection was broken is still a member", kind: "Group", edits: in("group/members.go",
		"g.revision, g.arriving, g.synced = g.arriving, nil, true",
		"maps.Copy(g.revision, g.arriving)\n\tg.arriving, g.synced = nil, true")},
	{name: "what is sent again has new seqs", kind: "Fill", edits: resent(`	for _, f := range o.Again {
		f.Data = frame.AppendHeader(nil, w.session, w.floor)
		for _, e := range f.Events {
			w.seq++
			f.Data = frame.AppendEvent(f.Data, e.Draft, w.seq)
		}
`)},
	{name: "what is sent again lacks an event", kind: "Fill", edits: resent(`	for _, f := range o.Again {
		if len(f.Events) > 1 {
			f.Data = frame.AppendHeader(nil, w.session, w.floor)
			for _, e := range f.Events[1:] {
				f.Data = frame.AppendEvent(f.Data, e.Draft, e.Seq)
			}
		}
`)},
	{name: "a router answers before all of a frame is stored", kind: "Fill", edits: in("internal/gather/gather.go",
		"p.parts--; p.parts > 0 || p.ended {", "p.parts--; p.ended {")},
	{name: "a router answers without a permit", kind: "Fill", edits: in("route/frames.go",
		"	term, valid := r.permit.Valid()\n	r.mu.Lock()\n	if err == nil {",
		"	term, _ := r.permit.Valid()\n	valid := true\n	r.mu.Lock()\n	if err == nil {")},
	{name: "what was under way on a broken connection counts as stored", kind: "Fill", edits: in("route/log.go",
		"l.expire(broke, errCut)", "l.expire(broke, nil)")},
	{name: "a shard reads its log from one message too late", kind: "Flow", edits: in("consume/shard.go",
		"return min(s.since, s.position.Seq)", "return min(s.since, s.position.Seq) + 1")},
	{name: "states are kept after a commit failed", kind: "Flow", edits: []testkit.Edit{
		{File: "consume/shard.go", Old: "cache: newCache(b)", New: "cache: oldCache(b, n)"},
		{File: "consume/cache.go", Old: "func newCache(", New: `type place struct {
	b *budget
	n int
}

var (
	oldMu sync.Mutex
	old   = map[place]*cache{}
)

func oldCache(b *budget, n int) *cache {
	oldMu.Lock()
	defer oldMu.Unlock()
	c := old[place{b, n}]
	if c == nil {
		c = newCache(b)
		old[place{b, n}] = c
	}
	for _, e := range c.dirty {
		e.changed = false
	}
	c.dirty = c.dirty[:0]
	return c
}

func newCache(`},
		{File: "consume/cache.go", Old: `import "sync/atomic"`, New: "import (\n	\"sync\"\n	\"sync/atomic\"\n)"},
		{File: "consume/cache.go", Old: "func (c *cache) clear() {\n	for c.lru.prev != &c.lru {", New: "func (c *cache) clear() {\n	for false {"},
	}},
	{name: "a key may have two frames in flight", kind: "Fill", edits: in("internal/window/window.go",
		"if k.ready || k.frame != nil || k.heldBy != 0", "if k.ready || k.heldBy != 0")},
	// A late copy is rare since events that no router can have are told apart. The histories of pkg/consume find it at once.
	{name: "a given-up event does not hold its key back", kind: "Fill", rare: true, edits: in("internal/window/resolve.go",
		"if !stored && e.Seq > e.key.heldBy {", "if false {")},
	{name: "workers ignore the floor", kind: "Fill", edits: in("dedup/dedup.go",
		"if seq < p.floor {", "if seq < p.base*64 {")},
	{name: "workers ignore the set of seqs", kind: "Flow", edits: in("dedup/dedup.go",
		"if p.words[i]&bit != 0 {", "if false {")},
	{name: "a state is kept though its handler failed", kind: "Flow", edits: in("consume/cache.go",
		"for _, e := range c.dirty {\n\t\tc.drop(e)", "for _, e := range c.dirty {\n\t\te.changed = false")},
	{name: "a commit compares positions", kind: "Flow", edits: in("store/storetest/memory.go",
		"if r.Version != c.Old {", "if c.Position.Seq < r.Position.Seq {")},
	{name: "state is loaded without looking at the version", kind: "Flow", edits: in("store/storetest/memory.go",
		"if v.m.kept.shards[shard].Version != version {", "if false {")},
	{name: "the fence is the store's alone", kind: "Flow", edits: in("store/storetest/memory.go",
		"max(r.Fence+1, revision)", "r.Fence+1")},
}

// Every rule matters: without it some history breaks a promise.
func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			limits := []string{"-histories=10000", "-test.timeout=100s"}
			if m.rare {
				limits = []string{"-histories=100000", "-test.timeout=400s"}
			}
			testkit.FindMutant(t, determined(t, m.edits), violated, append(limits, "-test.run=^TestHistoriesHere$/^"+m.kind+"$")...)
		})
	}
}

// Safety rests on the store's versions alone: an owner that does not hear that its lease is lost is what histories of the
// group find, and those of events do not notice.
func TestStatesAreRightThoughLeasesAreNot(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(determined(t, deafOwner), "-test.run=^TestHistoriesHere$/^Flow$", "-histories=1000", "-test.timeout=100s").CombinedOutput()
	require.NoError(t, err, "%s", out)
}
