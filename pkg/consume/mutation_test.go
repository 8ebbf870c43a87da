package consume

import (
	"strings"
	"testing"

	"example.com/lockstep/pkg/testkit"
)

// mutation takes one rule of the protocol away. A test must find it.
type mutation struct {
	name  string
	edits []testkit.Edit
	test  []string // package below pkg, and the test's arguments; nil: histories
	says  string   // what the test's output says then; "": a promise is broken
}

func in(file, old, new string) []testkit.Edit {
	return []testkit.Edit{{File: file, Old: old, New: new}}
}

var mutations = []mutation{
	{name: "a key may have two frames in flight", edits: in("internal/window/window.go",
		"if k.ready || k.frame != nil || k.heldBy != 0", "if k.ready || k.heldBy != 0")},
	{name: "a given-up event does not hold its key back", edits: in("internal/window/resolve.go",
		"if !stored && e.Seq > e.key.heldBy {", "if false {")},
	{name: "a session is renewed with frames in flight", edits: in("internal/window/session.go",
		"if len(w.frames) > 0 {", "if false {"),
		test: []string{"internal/window", "-test.run=^TestRenewedSessionWaitsForAllInFlight$"}, says: "drained before it is renewed"},
	{name: "a refusal counts for the attempts before it", edits: in("internal/window/answer.go",
		"case !f.earlier && f.Attempt == attempt:", "case true:")},
	{name: "an event is withdrawn that a router may have", edits: in("internal/window/late.go",
		"case e.key.frame.MayBeStored():", "case false:")},
	{name: "an attempt that nobody took stands for those before it", edits: in("internal/window/event.go",
		"f.earlier, f.newest = f.MayBeStored(), true", "f.newest = true")},
	{name: "a router acknowledges without a permit", edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if false {")},
	{name: "a router acknowledges in another term of its permit", edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if !valid {")},
	{name: "workers ignore the floor", edits: in("dedup/dedup.go",
		"if seq < p.floor {", "if seq < p.base*64 {")},
	{name: "workers ignore the set of seqs", edits: in("dedup/dedup.go",
		"if p.words[i]&bit != 0 {", "if false {")},
	{name: "workers apply what comes of a forgotten publisher", edits: in("dedup/dedup.go",
		"case p == nil && s.BirthTime().Add(Retention).Before(at):", "case false:")},
	// Our own publishers' floors pass all of a session before the next one begins, so that the pipeline as a whole would
	// not notice; others' need not.
	{name: "a new session does not close the ones before", edits: in("dedup/dedup.go",
		"case s.Generation < p.generation:", "case false:"),
		test: []string{"dedup", "-test.run=^TestGenerations$"}, says: "the late copy of an older generation"},
	{name: "a commit compares positions", edits: in("store/storetest/memory.go",
		"if r.Version != c.Old {", "if c.Position.Seq < r.Position.Seq {")},
	{name: "state is loaded without looking at the version", edits: in("store/storetest/memory.go",
		"if v.m.kept.shards[shard].Version != version {", "if false {")},
	{name: "the fence is the store's alone", edits: in("store/storetest/memory.go",
		"max(r.Fence+1, revision)", "r.Fence+1")},
	{name: "a shard reads its log from one message too late", edits: in("consume/shard.go",
		"return min(s.since, s.position.Seq)", "return min(s.since, s.position.Seq) + 1")},
	{name: "a state is kept though its handler failed", edits: in("consume/cache.go",
		"for _, e := range c.dirty {\n\t\tc.drop(e)", "for _, e := range c.dirty {\n\t\te.changed = false")},
	{name: "states are kept after a commit failed", edits: []testkit.Edit{
		{File: "consume/shard.go", Old: "cache: newCache(b)", New: "cache: oldCache(b)"},
		{File: "consume/cache.go", Old: "func newCache(", New: "var old = map[*budget]*cache{}\n\nfunc oldCache(b *budget) *cache {\n\tif old[b] == nil {\n\t\told[b] = newCache(b)\n\t}\n\treturn old[b]\n}\n\nfunc newCache("},
		{File: "consume/cache.go", Old: "for c.lru.prev != &c.lru {", New: "for false {"},
	}},
	{name: "nothing bounds how far seqs run ahead of the floor", edits: in("internal/window/window.go",
		"len(f.Data)+size > frame.MaxFrameBytes || w.seq+1-w.floor > frame.MaxSpan {", "len(f.Data)+size > frame.MaxFrameBytes {"),
		test: []string{"internal/window", "-test.run=^TestSpanIsBounded$"}, says: "is not less than or equal to"},
	{name: "Redis commits by the position", edits: in("store/redis/commit.lua",
		"if version ~= ARGV[1] then", "local at = redis.call('HGET', KEYS[1], 'position') or ''\nif at > ARGV[3] then"),
		test: []string{"store/redis", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_stale_commit_and_a_stale_load"},
	{name: "Redis reads a record without looking at the version", edits: in("store/redis/publishers.lua",
		"if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then", "if false then"),
		test: []string{"store/redis", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_record_"},
	{name: "Redis claims a shard whose record was removed", edits: in("store/redis/claim.lua",
		"if known == 1 and not before then", "if false then"),
		test: []string{"store/redis", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_record_that_was_removed"},
	{name: "a record is taken though a cursor passed over some of it", edits: in("store/redis/publishers.go",
		"return total == s.added+len(s.others), nil", "return total > 0, nil"),
		test: []string{"store/redis", "-test.run=^TestRecordIsReadWholeThoughRedisRestarts$"}, says: "20000"},
	{name: "Redis loads without looking at the version", edits: in("store/redis/load.lua",
		"if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then", "if false then"),
		test: []string{"store/redis", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_stale_commit_and_a_stale_load"},
}

// Every rule matters: without it a kept test fails. Each mutated copy is built beside the sources, by way of an overlay.
func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			test, says := m.test, m.says
			if test == nil {
				test = []string{"consume", "-test.run=^TestHistories$", "-histories=20000"}
			}
			if says == "" {
				says = violated
			}
			binary := testkit.Mutant(t, "..", test[0], m.edits, func(file string) bool {
				return test[0] != "consume" || strings.HasPrefix(file, "history_")
			})
			testkit.FindMutant(t, binary, says, test[1:]...)
		})
	}
}
