// Package mutations lists the rules of the protocol that a test must miss when they are taken away, each once, with the
// edits that take it away and the tests that must find it. A rule whose absence no test notices is not tested.
package mutations

import "example.com/lockstep/pkg/testkit"

// Mutation takes one rule away. At least one of the finders must find it.
type Mutation struct {
	Name  string
	Edits []Edit

	// Decisions: the histories of pkg/consume, which join the decisions of all packages without clocks and connections.
	Decisions bool
	// Simulation: the kind of the simulation's histories (verify/sim). They run the packages as they are.
	Simulation string
	// Rare: the simulation needs tens of thousands of histories.
	Rare bool
	// Test: a test of one package.
	Test Test
	// Programs: demo and chaos of whole programs (verify/mutants).
	Programs bool
}

// Test is a test of a package below pkg.
type Test struct {
	Package string
	Run     string // as in go test -run
	Says    string // part of its output when it fails for the right reason
}

func in(file, old, new string) []Edit { return []Edit{{File: file, Old: old, New: new}} }

// conformance is the suite that every store passes.
func conformance(says string) Test {
	return Test{"store/redis", "^Test(Miniredis|RedisServer)$", says}
}

// All are the mutations, in the order of an event's way.
var All = []Mutation{
	// The publisher.
	{Name: "a key may have two frames in flight", Decisions: true, Simulation: "Fill", Edits: in("internal/window/window.go",
		"if k.ready || k.frame != nil || k.heldBy != 0", "if k.ready || k.heldBy != 0")},
	// The simulation's late copies are rare, since events that no router can have are told apart.
	{Name: "a given-up event does not hold its key back", Decisions: true, Simulation: "Fill", Rare: true, Edits: in("internal/window/resolve.go",
		"if !stored && e.Seq > e.key.heldBy {", "if false {")},
	{Name: "a session is renewed with frames in flight", Edits: in("internal/window/session.go",
		"if len(w.frames) > 0 {", "if false {"),
		Test: Test{"internal/window", "^TestRenewedSessionWaitsForAllInFlight$", "drained before it is renewed"}},
	{Name: "nothing bounds how far seqs run ahead of the floor", Edits: in("internal/window/window.go",
		"len(f.Data)+size > frame.MaxFrameBytes || w.seq+1-w.floor > frame.MaxSpan {", "len(f.Data)+size > frame.MaxFrameBytes {"),
		Test: Test{"internal/window", "^TestSpanIsBounded$", "is not less than or equal to"}},
	{Name: "a refusal counts for the attempts before it", Decisions: true, Edits: in("internal/window/answer.go",
		"case !f.earlier && f.Attempt == attempt:", "case true:")},
	{Name: "an event is withdrawn that a router may have", Decisions: true, Edits: in("internal/window/late.go",
		"case e.key.frame.MayBeStored():", "case false:")},
	{Name: "an attempt that reached no router replaces those before it", Decisions: true, Edits: in("internal/window/event.go",
		"f.earlier, f.newest = f.MayBeStored(), true", "f.newest = true")},
	{Name: "a frame is sent again with new seqs", Simulation: "Fill", Edits: sentAgain(`	for _, f := range o.Again {
		f.Data = frame.AppendHeader(nil, w.session, w.floor)
		for _, e := range f.Events {
			w.seq++
			f.Data = frame.AppendEvent(f.Data, e.Draft, w.seq)
		}
`)},
	{Name: "a frame is sent again without its first event", Simulation: "Fill", Edits: sentAgain(`	for _, f := range o.Again {
		if len(f.Events) > 1 {
			f.Data = frame.AppendHeader(nil, w.session, w.floor)
			for _, e := range f.Events[1:] {
				f.Data = frame.AppendEvent(f.Data, e.Draft, e.Seq)
			}
		}
`)},

	// The router.
	{Name: "the gather acknowledges without a permit", Decisions: true, Edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if false {")},
	{Name: "the gather acknowledges in another term of the permit", Decisions: true, Edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if !valid {")},
	{Name: "the gather acknowledges before all of a frame is stored", Simulation: "Fill", Edits: in("internal/gather/gather.go",
		"p.parts--; p.parts > 0 || p.ended {", "p.parts--; p.ended {")},
	{Name: "the router takes every permit for a valid one", Simulation: "Fill", Edits: in("route/frames.go",
		"	term, valid := r.permit.Valid()\n	r.mu.Lock()\n	if err == nil {",
		"	term, _ := r.permit.Valid()\n	valid := true\n	r.mu.Lock()\n	if err == nil {")},
	{Name: "a router stores a command without a permit", Edits: in("route/plain.go",
		"	if !valid {\n\t\tr.refuseSingle(", "	if !valid && s.kind == \"\" {\n\t\tr.refuseSingle("),
		Test: Test{"route", "^TestCommandWithoutAPermit$", "nats: timeout"}},
	{Name: "a router stores a command at any shard", Edits: in("route/command.go",
		"frame.KindCommand, c.Key, m.Header", "frame.KindCommand, c.First, m.Header"),
		Test: Test{"route", "^TestCommandFollowsTheEventsOfItsKey$", "should have 2 item(s)"}},
	{Name: "a raise may lower a cap", Edits: in("topology/caps.go",
		"caps := before.Raised(by)", "caps := by"),
		Test: Test{"topology", "^TestRaiseCaps$", "no cap sinks"}},
	{Name: "a router goes on with the topology before one that it cannot read", Edits: in("topology/watch.go",
		"w.permit.Suspend(err)", "_ = err"),
		Test: Test{"route", "^TestRouterUnderATopologyFromTheFuture$", "Condition never satisfied"}},
	{Name: "a renewal under a topology that cannot be read counts", Edits: in("route/permit/permit.go",
		"if !ok || p.revoked || p.unread != nil {", "if !ok || p.revoked {"),
		Test: Test{"route/permit", "^TestSuspendedPermitDoesNotComeBack$", "Should be false"}},
	{Name: "a batch in flight on a broken connection counts as stored", Simulation: "Fill", Edits: in("route/log.go",
		"l.expire(broke, errCut)", "l.expire(broke, nil)")},

	// Deduplication.
	{Name: "workers ignore the floor", Decisions: true, Simulation: "Fill", Edits: in("dedup/dedup.go",
		"if seq < p.floor {", "if seq < p.base*64 {")},
	{Name: "workers ignore the set of seqs", Decisions: true, Simulation: "Flow", Edits: in("dedup/dedup.go",
		"if p.words[i]&bit != 0 {", "if false {")},
	{Name: "workers drop no duplicate", Programs: true, Edits: in("dedup/dedup.go",
		"if seq < p.floor {\n\t\treturn false\n\t}", "if true {\n\t\treturn true\n\t}")},
	{Name: "workers apply events of a forgotten publisher", Decisions: true, Edits: in("dedup/dedup.go",
		"case p == nil && s.BirthTime().Add(Retention).Before(at):", "case false:")},
	// Our own publishers' floors pass all of a session before the next one begins, so that the pipeline as a whole would
	// not notice; other publishers' floors need not.
	{Name: "a new session does not close the ones before", Edits: in("dedup/dedup.go",
		"case s.Generation < p.generation:", "case false:"),
		Test: Test{"dedup", "^TestGenerations$", "the late copy of an older generation"}},

	// The worker.
	{Name: "a shard reads its log from one message too late", Decisions: true, Simulation: "Flow", Edits: in("consume/shard.go",
		"	}\n	return s.position.Seq\n", "	}\n	return s.position.Seq + 1\n")},
	{Name: "a state is kept though its handler failed", Decisions: true, Simulation: "Flow", Edits: in("consume/apply.go",
		"if again := s.undo(r, r.items[a.item].entry, false); !again {", "if true {")},
	{Name: "an event overtakes those of its key that the round has set aside", Decisions: true, Edits: in("consume/lists.go",
		"(l.stored || l.from < i)", "l.stored")},
	{Name: "an event overtakes those of its key that were set aside before", Decisions: true, Simulation: "Aside", Edits: in("consume/lists.go",
		"(l.stored || l.from < i)", "!l.stored && l.from < i")},
	{Name: "an event that the handler dropped overtakes those of its key that are set aside", Decisions: true, Edits: in("consume/lists.go",
		"r.items[i].outcome <= failed", "r.items[i].outcome <= undone")},
	{Name: "a key is tried again by itself although its handler has parked it", Decisions: true, Edits: in("consume/lists.go",
		"				h.Status = aside.Parked\n", "")},
	{Name: "a result is taken though its list is another one", Edits: in("consume/retries.go",
		"case h != s.list || h.First", "case h.First"), Test: Test{"consume", "^TestResultIsTakenOnce$/^another_list$", "Not equal"}},
	{Name: "a result is taken though the list begins with another event", Decisions: true, Edits: in("consume/retries.go",
		" || h.First != s.first", ""), Test: Test{"consume", "^TestResultIsTakenOnce$/^the_list_begins_later$", "Not equal"}},
	{Name: "a result is taken though its events are to be dropped", Edits: in("consume/retries.go",
		"	case h.Mark.Op == aside.Drop:\n		return progress{}, false", "	case false:\n		return progress{}, false"),
		Test: Test{"consume", "^TestResultIsTakenOnce$/^events_are_to_be_dropped$", "Not equal"}},
	{Name: "a failure from before an operator's retry ends it", Edits: in("consume/retries.go",
		"case p.err != nil && h.Mark != s.mark:", "case false:"),
		Test: Test{"consume", "^TestResultIsTakenOnce$/^a_retry_was_asked_for", "Not equal"}},
	{Name: "a parked key is retried by itself", Decisions: true, Edits: in("consume/retries.go",
		"	case h.Status == aside.Parked:\n", "	case false:\n"), Test: Test{"consume", "^TestDue$/^parked", "Not equal"}},
	{Name: "a command is passed over while another one is at work", Edits: in("consume/commands.go",
		"case h.Mark.Op != aside.None:\n		return keepBack", "case h.Mark.Op != aside.None:\n		return passOver"),
		Test: Test{"consume", "^TestJudgeACommand$/while_another_command_is_at_work$", "Not equal"}},
	{Name: "a command is passed over while its list goes on by itself", Edits: in("consume/commands.go",
		"h.Status != aside.Parked:\n		return keepBack", "h.Status != aside.Parked:\n		return passOver"),
		Test: Test{"consume", "^TestJudgeACommand$/^another_first_event,_while_the_list_goes_on$", "Not equal"}},
	{Name: "an attempt at a list goes on past a command that waits", Edits: in("consume/listwork.go",
		"			w.events = w.events[:i]\n", ""),
		Test: Test{"consume", "^TestAttemptEndsBeforeACommandThatWaits$", "Not equal"}},
	{Name: "an operator's command does not stop the attempt at its list", Edits: in("consume/tending.go",
		"		w.stopped.Store(true) // the operator comes before further events\n", ""),
		Test: Test{"consume", "^TestCommandStopsAnAttempt$", "Not equal"}},
	{Name: "the events of a list share the time of one", Edits: in("consume/calls.go",
		"	c.timers[0].Reset(cs.timeout)\n", ""),
		Test: Test{"consume", "^TestEachEventOfAListHasAllTime$", "handler's time is up"}},
	{Name: "a drop takes events that its command does not name", Decisions: true, Edits: in("consume/listchange.go",
		"min(min(l.head.Mark.Until, l.head.Next)-l.head.First, droppedAtOnce)", "min(l.head.Len(), droppedAtOnce)")},
	{Name: "no receipt is owed for an event that an operator dropped", Decisions: true, Edits: in("consume/listchange.go",
		"			addReceipt(ch.receipts, &e)\n", "			_ = e\n")},
	{Name: "a change of a list keeps no receipts that it owes", Decisions: true, Edits: in("consume/listchange.go",
		"	c.Owed = appendOwed(nil, receipts)\n", "")},
	{Name: "a command is carried out though its last event is another one", Edits: in("consume/commands.go",
		"case c.Last != last:", "case false:"), Test: Test{"consume", "^TestJudgeACommand$", "Not equal"}},
	{Name: "a commit keeps no receipts that it owes", Decisions: true, Edits: in("consume/commit.go",
		"	c.Owed = appendOwed(nil, s.receipts)\n", "")},
	{Name: "a receipt is owed for an event that is set aside", Decisions: true, Edits: in("consume/round.go",
		"it.outcome.changes() {\n			r.receipt(out, it)", "it.outcome >= applied && it.outcome != skipped {\n			r.receipt(out, it)")},
	{Name: "a key's earlier events are lost when a later one fails", Decisions: true, Edits: in("consume/apply.go",
		"\t\tr.undo(e)\n", "")},
	{Name: "a commit's deduplication record holds what waits behind the commit", Decisions: true, Edits: in("consume/commit.go",
		"\t\ts.record.Rollback()\n", "")},
	{Name: "a commit holds states with what waits behind the commit", Decisions: true, Edits: in("consume/commit.go",
		"b := r.result(at)", "b := r.result(int(e.last))")},
	{Name: "states are kept after a commit failed", Decisions: true, Simulation: "Flow", Programs: true, Edits: []Edit{
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
		{File: "consume/cache.go", Old: `"sync/atomic"`, New: "\"sync\"\n	\"sync/atomic\""},
		{File: "consume/cache.go", Old: "func (c *cache) clear() {\n	for c.lru.prev != &c.lru {", New: "func (c *cache) clear() {\n	for false {"},
	}},

	{Name: "a worker keeps its shards under a topology that it cannot read", Edits: in("consume/topology.go",
		"	w.group.Withdraw(err)\n", ""),
		Test: Test{"consume", "^TestWorkerUnderAnotherTopology$/^from_the_future$", "leases are held"}},

	// The feed that shards at the log's tip share.
	{Name: "a shard joins a shared feed without comparing its place", Edits: in("consume/sharing.go",
		"s.now.subjects[subject] && st.last.seq >= s.now.from.seq;", "s.now.subjects[subject];"),
		Test: Test{"consume", "^TestShardThatWentBackWaitsForAnotherFeed$", "it lacks messages"}},
	{Name: "a shard takes messages of a shared feed that did not deliver its newest one again", Edits: in("consume/sharing.go",
		"case at.seq == st.last.seq || !st.proven:", "case at.seq == st.last.seq:"),
		Test: Test{"consume", "^TestShardOfASharedFeedSeesItsNewestMessageAgain$", "in chain"}},
	{Name: "a shared feed begins at its newest shard", Edits: in("consume/sharing.go",
		"!st.proven && (from.seq == 0 || st.last.seq < from.seq)", "!st.proven && st.last.seq > from.seq"),
		Test: Test{"consume", "^TestSharedFeedThatChangesDisturbsNoShard$", "Not equal"}},
	{Name: "a shared feed need not begin with the message that it was opened at", Edits: in("consume/sharing.go",
		"if !at.is(sp.from) {", "if false {"),
		Test: Test{"consume", "^TestSharedFeedBeginsWithTheMessageThatItIsOpenedAt$", "in chain"}},
	{Name: "a full queue drops a shard's message", Decisions: true, Edits: in("consume/sharing.go",
		"		s.end(st, errFull)\n", ""),
		Test: Test{"consume", "^TestSlowShardLosesItsSeatAlone$", "queue is full"}},

	{Name: "the proof of a deleted state goes on", Decisions: true, Simulation: "Flow", Edits: in("consume/attempt.go",
		"		res = result{}\n", "		res = result{proof: a.proof.Apply(a.ev.Data)}\n")},
	{Name: "the chain counts an attempt that failed", Decisions: true, Edits: in("consume/apply.go",
		"	s.failed(r, a, trouble{err: res.err})\n", "	s.failed(r, a, trouble{err: res.err})\n	e.proof = a.proof.Apply(a.ev.Data)\n")},
	{Name: "a deletion is not committed", Decisions: true, Simulation: "Flow", Edits: in("consume/commit.go",
		"			b = nil // the state goes\n", "			continue\n")},

	// The store in memory.
	{Name: "a torn slot is claimed as it is", Decisions: true, Simulation: "Flow", Edits: in("store/storetest/memoryview.go",
		"	if s.torn() {\n		return store.Record{},", "	if false {\n		return store.Record{},")},
	{Name: "a torn slot is emptied but for one hash", Decisions: true, Simulation: "Flow", Edits: in("store/storetest/memoryview.go",
		"	delete(v.m.kept.slots, shard)\n	return nil",
		"	v.m.kept.slots[shard] = slot{hashes: [Hashes]hash{s.hashes[0]}}\n	return nil")},
	{Name: "a load does not compare markers", Decisions: true, Edits: in("store/storetest/memoryslot.go",
		"		if s.hashes[n].marker != s.named[n] {\n			return nil, store.ErrTorn", "		if false {\n			return nil, store.ErrTorn")},
	{Name: "a commit does not compare markers", Decisions: true, Edits: in("store/storetest/memoryview.go",
		"if len(writes[n]) > 0 && s.hashes[n].marker != s.named[n] {", "if n < 0 {")},
	{Name: "an owner that has nothing to commit compares only the version", Decisions: true, Simulation: "Flow", Edits: in("store/storetest/memoryview.go",
		"if s.record.Version != version || s.torn() {", "if s.record.Version != version {")},
	{Name: "a commit compares positions", Decisions: true, Simulation: "Flow", Edits: in("store/storetest/memoryview.go",
		"if s.record.Version != c.Old {", "if c.Position.Seq < s.record.Position.Seq {")},
	{Name: "state is loaded without looking at the version", Decisions: true, Edits: in("store/storetest/memoryview.go",
		"if s.record.Version != version {\n		return nil,", "if false {\n		return nil,")},
	{Name: "the fence is the store's alone", Decisions: true, Simulation: "Flow", Edits: in("store/storetest/memoryview.go",
		"max(s.record.Fence+1, revision)", "s.record.Fence+1")},

	{Name: "lists are read without comparing markers", Decisions: true, Edits: in("store/storetest/memorylists.go",
		"if s.hashes[n].marker == s.named[n] {", "if n >= 0 {")},
	// Neither breaks a promise in the histories: a stale owner's commit is refused, and a receipt that comes twice is of an event applied.
	{Name: "lists are read without looking at the version", Edits: in("store/storetest/memorylists.go",
		"if version != \"\" && s.record.Version != version {", "if false {"),
		Test: Test{"store/storetest", "^TestMemory$", "lists_under_another_version"}},
	{Name: "the store keeps what a commit before owed", Edits: in("store/storetest/memoryslot.go",
		"if r.Owed = slices.Clone(c.Owed); len(r.Owed) == 0 {", "if len(c.Owed) > 0 {\n		r.Owed = slices.Clone(c.Owed)\n	} else if false {"),
		Test: Test{"store/storetest", "^TestMemory$", "what_is_owed"}},

	// The store in Redis. Whole programs do not find that it loads without looking at the version: a stale owner then reads
	// states that it must not have, and its commit is refused. That does harm only if the store goes back to just the
	// version that this owner knows, between its load and its commit.
	{Name: "Redis commits by the position", Edits: in("store/redis/commit.lua",
		"if named[1] ~= ARGV[1] then", "local at = redis.call('HGET', KEYS[1], 'position') or ''\nif at > ARGV[3] then"),
		Test: conformance("a_stale_commit_and_a_stale_load")},
	{Name: "Redis commits without looking at the version and the markers", Programs: true, Edits: []Edit{
		{File: "store/redis/commit.lua", Old: "if named[1] ~= ARGV[1] then", New: "if false then"},
		{File: "store/redis/commit.lua", Old: "if not named[k] or redis.call('HGET', KEYS[k], '') ~= named[k] then", New: "if false then"},
	}, Test: conformance("a_stale_commit_and_a_stale_load")},
	{Name: "Redis loads without looking at the version", Edits: in("store/redis/load.lua",
		"if ARGV[1] ~= '' and named[1] ~= ARGV[1] then", "if false then"),
		Test: conformance("a_stale_commit_and_a_stale_load")},
	{Name: "Redis reads a record without looking at the version", Edits: in("store/redis/publishers.lua",
		"if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then", "if false then"),
		Test: conformance("a_record_")},
	{Name: "Redis reads heads without looking at the version", Edits: in("store/redis/heads.lua",
		"if ARGV[1] ~= '' and named[1] ~= ARGV[1] then", "if false then"),
		Test: conformance("lists_under_another_version")},
	{Name: "Redis reads events set aside without looking at the version", Edits: in("store/redis/aside.lua",
		"if ARGV[1] ~= '' and named[1] ~= ARGV[1] then", "if false then"),
		Test: conformance("lists_under_another_version")},
	{Name: "Redis reads heads of a torn slot", Edits: in("store/redis/heads.lua",
		"if redis.call('HGET', KEYS[2], '') ~= named[2] then", "if false then"),
		Test: conformance("lists_of_a_torn_slot")},
	{Name: "Redis reads events set aside from a torn slot", Edits: in("store/redis/aside.lua",
		"if redis.call('HGET', KEYS[k], '') ~= named[k] then", "if false then"),
		Test: conformance("lists_of_a_torn_slot")},
	{Name: "Redis reads any number of bytes of a list at once", Edits: in("store/redis/aside.lua", "if bytes >= suffice then", "if false then"),
		Test: conformance("a_long_list")},
	{Name: "a run of events is read beyond the border of its hash", Edits: in("store/redis/aside.go",
		"min(left, runLength-from%runLength)", "min(left, runLength)"),
		Test: conformance("a_long_list")},
	{Name: "events that leave a list stay in the store", Edits: in("store/redis/lists.go",
		"hash.remove = append(hash.remove, appendEventField(nil, l.Key, index))", "_ = hash"),
		Test: conformance("a_list_grows_and_shrinks")},
	{Name: "a list does not raise the format that its slot needs", Edits: in("store/redis/commit.go", "if lists != nil {", "if false {"),
		Test: conformance("lists_raise_the_format")},
	{Name: "any commit raises the format that its slot needs", Edits: in("store/redis/commit.go", "if lists != nil {", "if true {"),
		Test: conformance("lists_raise_the_format")},
	{Name: "what a commit owes stays owed", Edits: in("store/redis/commit.lua",
		"'owed', ARGV[4]", "ARGV[4] == '' and 'late' or 'owed', ARGV[4]"),
		Test: conformance("what_is_owed")},
	{Name: "Redis claims a torn slot", Edits: in("store/redis/claim.lua", "if differs then", "if false then"), Test: conformance("a_torn_slot")},
	{Name: "Redis loads from a torn slot", Edits: in("store/redis/load.lua", "if got[1] ~= named[k] then", "if false then"), Test: conformance("a_torn_slot")},
	{Name: "Redis commits to a torn slot", Edits: in("store/redis/commit.lua",
		"if not named[k] or redis.call('HGET', KEYS[k], '') ~= named[k] then", "if false then"), Test: conformance("a_torn_slot")},
	{Name: "Redis empties a slot that is not torn", Edits: in("store/redis/empty.lua", "if not differs or", "if differs and"),
		Test: conformance("a_torn_slot")},
	{Name: "Redis empties a slot that is not the one found", Edits: in("store/redis/empty.lua", " or found ~= ARGV[3]", ""),
		Test: conformance("though it is torn as it was")},
	{Name: "Redis takes a key without a byte, whose field is the marker's", Edits: in("store/redis/buckets.go", "if key == marker {", "if false {"),
		Test: conformance("keys_are_any_bytes")},
	{Name: "a claim does not make what is missing", Edits: in("store/redis/claim.lua", "if not named[i] then", "if not named[i] and not before[1] then"),
		Test: Test{"store/redis", "^TestClaimMakesWhatIsMissing$", "hashes"}},
	{Name: "a record is taken though a cursor passed over some of it", Edits: in("store/redis/scan.go",
		"return total == s.added, nil", "return total > 0, nil"),
		Test: Test{"store/redis", "^TestRecordIsReadInFullThoughRedisRestarts$", "20000"}},

	// Members and leases.
	{Name: "a member unlocks a dead one's leases without looking whose they are", Simulation: "Group", Edits: in("lease/lease.go",
		`strings.HasPrefix(value, holder+"/")`, `strings.Contains(value, "/")`)},
	{Name: "a prober judges though its own connection is young", Simulation: "Group", Edits: in("group/probe.go",
		"if now.Sub(up) < steadyBefore {", "if false {")},
	DeafOwner,
	{Name: "renewing takes a lost lease again", Simulation: "Group", Edits: in("lease/lease.go",
		"redsync.WithTries(1))...)", "redsync.WithTries(1), redsync.WithSetNXOnExtend())...)")},
	{Name: "a release is not announced", Simulation: "Group", Edits: in("group/seat.go",
		"b, err := json.Marshal(shards)", "b, err := json.Marshal(shards[:0])")},
	{Name: "a removed member does not join again", Simulation: "Group", Edits: in("group/withdraw.go",
		"	go g.settleEntry()", "	g.settles.Done()")},
	{Name: "a member that has withdrawn takes shards until its entry is gone", Edits: in("group/members.go",
		"!g.withdrawn() && owners", "owners"),
		Test: Test{"group", "^TestWithdrawAndReturn$", "Should be false"}},
	{Name: "a member that left while the connection was broken still counts", Simulation: "Group", Edits: in("group/members.go",
		"g.revision, g.arriving, g.synced = g.arriving, nil, true",
		"maps.Copy(g.revision, g.arriving)\n\tg.arriving, g.synced = nil, true")},
}

// DeafOwner breaks only the order of owners: the store's versions keep the states right without it.
var DeafOwner = Mutation{Name: "an owner does not hear that its lease is lost", Simulation: "Group", Edits: in("group/seat.go",
	"func() { cancel(context.Cause(held.Context())) }", "func() {}")}

// sentAgain replaces the beginning of the loop over the frames that are sent again.
func sentAgain(loop string) []Edit {
	return []Edit{
		{File: "internal/window/late.go", Old: "	for _, f := range o.Again {\n", New: loop},
		{File: "internal/window/late.go", Old: "	\"time\"\n)", New: "	\"time\"\n\n	\"" + testkit.ModulePath() + "/pkg/frame\"\n)"},
	}
}
