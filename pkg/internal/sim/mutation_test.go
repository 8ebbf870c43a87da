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
	{"whoever unlocks for a dead member does not look whose lease it is", "Group", in("lease/lease.go",
		`strings.HasPrefix(value, holder+"/")`, `strings.Contains(value, "/")`)},
	{"a prober judges though its own connection is young", "Group", in("group/probe.go",
		"if now.Sub(up) < steadyBefore {", "if false {")},
	{"an owner does not hear that its lease is lost", "Group", deafOwner},
	{"a lease that was lost is taken again by renewing it", "Group", in("lease/lease.go",
		"redsync.WithTries(1))...)", "redsync.WithTries(1), redsync.WithSetNXOnExtend())...)")},
	{"a release is not announced", "Group", in("group/seat.go",
		"b, err := json.Marshal(shards)", "b, err := json.Marshal(shards[:0])")},
	{"a member that is not among the members does not join again", "Group", in("group/members.go",
		"	go g.rejoin()", "	g.rejoins.Done()")},
	{"who left while the connection was broken is still a member", "Group", in("group/members.go",
		"g.revision, g.arriving, g.synced = g.arriving, nil, true",
		"maps.Copy(g.revision, g.arriving)\n\tg.arriving, g.synced = nil, true")},
	{"what is sent again has new seqs", "Fill", resent(`	for _, f := range o.Again {
		f.Data = frame.AppendHeader(nil, w.session, w.floor)
		for _, e := range f.Events {
			w.seq++
			f.Data = frame.AppendEvent(f.Data, e.Draft, w.seq)
		}
`)},
	{"what is sent again lacks an event", "Fill", resent(`	for _, f := range o.Again {
		if len(f.Events) > 1 {
			f.Data = frame.AppendHeader(nil, w.session, w.floor)
			for _, e := range f.Events[1:] {
				f.Data = frame.AppendEvent(f.Data, e.Draft, e.Seq)
			}
		}
`)},
	{"a router answers before all of a frame is stored", "Fill", in("internal/gather/gather.go",
		"p.parts--; p.parts > 0 || p.ended {", "p.parts--; p.ended {")},
	{"a router answers without a lease", "Fill", in("route/frames.go",
		"	term, valid := r.lease.Valid()\n	r.mu.Lock()\n	if err == nil {",
		"	term, _ := r.lease.Valid()\n	valid := true\n	r.mu.Lock()\n	if err == nil {")},
	{"what was under way on a broken connection counts as stored", "Fill", in("route/log.go",
		"l.expire(broke, errCut)", "l.expire(broke, nil)")},
	{"a shard reads its log from one message too late", "Flow", in("consume/shard.go",
		"return min(s.since, s.position.Seq)", "return min(s.since, s.position.Seq) + 1")},
	{"states are kept after a commit failed", "Flow", []testkit.Edit{
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
	{"a key may have two frames in flight", "Fill", in("internal/window/window.go",
		"if k.ready || k.frame != nil || k.heldBy != 0", "if k.ready || k.heldBy != 0")},
	{"a given-up event does not hold its key back", "Fill", in("internal/window/resolve.go",
		"if !stored && e.Seq > e.key.heldBy {", "if false {")},
	{"workers ignore the floor", "Fill", in("dedup/dedup.go",
		"if seq < p.floor {", "if seq < p.base*64 {")},
	{"workers ignore the set of seqs", "Flow", in("dedup/dedup.go",
		"if p.words[i]&bit != 0 {", "if false {")},
	{"a state is kept though its handler failed", "Flow", in("consume/cache.go",
		"for _, e := range c.dirty {\n\t\tc.drop(e)", "for _, e := range c.dirty {\n\t\te.changed = false")},
	{"a commit compares positions", "Flow", in("store/storetest/memory.go",
		"if r.Version != c.Old {", "if c.Position.Seq < r.Position.Seq {")},
	{"state is loaded without looking at the version", "Flow", in("store/storetest/memory.go",
		"if v.m.kept.shards[shard].Version != version {", "if false {")},
	{"the fence is the store's alone", "Flow", in("store/storetest/memory.go",
		"max(r.Fence+1, revision)", "r.Fence+1")},
}

// Every rule matters: without it some history breaks a promise.
func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			testkit.FindMutant(t, determined(t, m.edits), violated, "-test.run=^TestHistoriesHere$/^"+m.kind+"$", "-histories=10000", "-test.timeout=100s")
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
