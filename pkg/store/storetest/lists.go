package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// eventsAt are events of a key's list that tell their key and index.
func eventsAt(key string, from, till uint64) (events [][]byte) {
	for i := from; i < till; i++ {
		events = append(events, fmt.Appendf(nil, "%s/%d", key, i))
	}
	return events
}

// lists is a shard whose lists a test changes, with what they are to hold.
type lists struct {
	t       *testing.T
	s       store.Store
	shard   int
	version store.Version
	heads   map[string]string
	events  map[string][2]uint64 // first index, and that behind the last
}

func claimLists(t *testing.T, s store.Store, shard int) *lists {
	t.Helper()
	l := &lists{t: t, s: s, shard: shard, version: store.NewVersion(), heads: make(map[string]string), events: make(map[string][2]uint64)}
	_, err := s.Claim(context.Background(), shard, 1, l.version)
	require.NoError(t, err)
	return l
}

// next is a commit that changes one list: it has the events with the indices first to till-1 afterwards, or is gone if there are none.
func (l *lists) next(key, head string, first, till uint64) *store.Commit {
	list := store.List{Key: key, Head: []byte(head)}
	had := l.events[key]
	if had[0] == had[1] {
		had = [2]uint64{first, first}
	}
	list.Drop, list.Till = had[0], min(first, had[1])
	list.At, list.Events = had[1], eventsAt(key, had[1], till)
	if first == till {
		list.Head = nil
	}
	return &store.Commit{Shard: l.shard, Old: l.version, New: store.NewVersion(), Lists: []store.List{list}}
}

func (l *lists) set(key, head string, first, till uint64) {
	l.t.Helper()
	c := l.next(key, head, first, till)
	require.NoError(l.t, l.s.Commit(context.Background(), c))
	l.version = c.New
	l.events[key] = [2]uint64{first, till}
	l.heads[key] = head
	if first == till {
		delete(l.heads, key)
		delete(l.events, key)
	}
	l.check(key)
}

// check reads a key's list as its owner and as any process.
func (l *lists) check(key string) {
	l.t.Helper()
	ctx := context.Background()
	_, heads, err := l.s.States(ctx, l.shard, []string{"none", key, key})
	require.NoError(l.t, err)
	require.Nil(l.t, heads[0])
	if head, is := l.heads[key]; is {
		require.Equal(l.t, head, string(heads[1]))
		require.Equal(l.t, head, string(heads[2]))
	} else {
		require.Equal(l.t, [][]byte{nil, nil, nil}, heads)
	}
	first, till := l.events[key][0], l.events[key][1]
	for _, version := range []store.Version{"", l.version} {
		all, err := Heads(l.s, l.shard, version)
		require.NoError(l.t, err)
		require.Equal(l.t, l.heads, all)
		require.Equal(l.t, eventsAt(key, first, till), l.read(version, key, first))
		before, err := l.s.Aside(ctx, l.shard, version, key, first-1, 10)
		require.NoError(l.t, err)
		require.Empty(l.t, before, "the one before the first is not there")
	}
	require.NoError(l.t, l.s.Verify(ctx, l.shard, l.version))
}

// read reads a list from an index on, in as many pieces as it takes.
func (l *lists) read(version store.Version, key string, from uint64) (events [][]byte) {
	l.t.Helper()
	for {
		piece, err := l.s.Aside(context.Background(), l.shard, version, key, from, 100)
		require.NoError(l.t, err)
		require.LessOrEqual(l.t, len(piece), 100)
		if len(piece) == 0 {
			return events
		}
		events = append(events, piece...)
		from += uint64(len(piece))
	}
}

// Heads are the heads of a shard's lists, as its owner or with the version "" any process reads them.
func Heads(s store.Store, shard int, version store.Version) (map[string]string, error) {
	out := make(map[string]string)
	err := s.Heads(context.Background(), shard, version, func(key string, head []byte) error {
		out[key] = string(head)
		return nil
	})
	return out, err
}

// listGrowsAndShrinks adds to lists and drops from them, across the borders of the hashes that hold the events.
func listGrowsAndShrinks(t *testing.T, k Kept) {
	l := claimLists(t, k.At("one"), 0)
	for _, first := range []uint64{0, 63, 1<<53 - 100} {
		for _, key := range []string{"a", "\x00", strings.Repeat("long", 256)} {
			l.set(key, "begins", first, first+1)
			l.set(key, "grows", first, first+2)
			l.set(key, "stays", first, first+2)
			l.set(key, "grows far", first, first+1100)
			for _, at := range []uint64{1, 63, 64, 65, 960, 1025} {
				l.set(key, fmt.Sprint("from ", at), first+at, first+1100)
			}
			l.set(key, "shrinks and grows", first+1090, first+1101)
			l.set(key, "one event", first+1100, first+1101)
			l.set(key, "is another one", first+1101, first+1102)
			l.set(key, "", first+1102, first+1102)
			l.set(key, "begins again", 7, 9)
		}
		for _, key := range slices.Sorted(maps.Keys(l.heads)) {
			l.set(key, "", 9, 9)
		}
	}
	require.Empty(t, l.heads)
}

// listsAreApart changes lists of many keys, with the states of some, in one commit.
func listsAreApart(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	c := &store.Commit{Old: l.version, New: "many", States: []store.Pair{{Key: "1", Value: []byte("state")}}}
	for i := range uint64(3000) {
		key := fmt.Sprint(i)
		c.Lists = append(c.Lists, store.List{Key: key, Head: []byte("head of " + key), At: i, Events: eventsAt(key, i, i+1+i%3)})
		l.heads[key], l.events[key] = "head of "+key, [2]uint64{i, i + 1 + i%3}
	}
	require.NoError(t, l.s.Commit(ctx, c))
	l.version = "many"
	for _, key := range []string{"0", "1", "2", "63", "64", "2999"} {
		l.check(key)
	}
	states, _, err := l.s.States(ctx, 0, []string{"1", "2"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("state"), nil}, states, "a list is no state")

	gone := &store.Commit{Old: l.version, New: "few"}
	for key, at := range l.events {
		if key != "64" {
			gone.Lists = append(gone.Lists, store.List{Key: key, Drop: at[0], Till: at[1]})
			delete(l.heads, key)
			delete(l.events, key)
		}
	}
	require.NoError(t, l.s.Commit(ctx, gone))
	l.version = "few"
	for _, key := range []string{"0", "1", "63", "64", "2999"} {
		l.check(key)
	}
	plain := &store.Commit{Old: l.version, New: "plain", States: []store.Pair{{Key: "64", Value: []byte("state")}}}
	require.NoError(t, l.s.Commit(ctx, plain))
	l.version = "plain"
	l.check("64")
}

// longList is read in pieces whose size is bounded by the number of events and by their bytes.
func longList(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	l.set("small", "h", 0, 20_000)
	for _, version := range []store.Version{"", l.version} {
		for _, n := range []int{0, 1, 2, 63, 64, 65, 256, 1000, 3000} {
			for _, from := range []uint64{0, 1, 63, 64, 100, 960, 19_999} {
				events, err := l.s.Aside(ctx, 0, version, "small", from, n)
				require.NoError(t, err)
				want := eventsAt("small", from, min(from+uint64(n), 20_000))
				require.Equal(t, len(want), len(events))
				require.Equal(t, fmt.Sprintf("%q", want), fmt.Sprintf("%q", events))
			}
		}
		events, err := l.s.Aside(ctx, 0, version, "small", 20_000, 10)
		require.NoError(t, err)
		require.Empty(t, events)
		events, err = l.s.Aside(ctx, 0, version, "small", 1<<64-1, 10)
		require.NoError(t, err)
		require.Empty(t, events)
	}
	large := func(size int) []byte { return []byte(strings.Repeat("x", size)) }
	c := &store.Commit{Old: l.version, New: "large", Lists: []store.List{
		{Key: "huge", Head: []byte("h"), Events: [][]byte{large(1 << 20), large(1 << 20)}},
		{Key: "large", Head: []byte("h")},
	}}
	for range 200 {
		c.Lists[1].Events = append(c.Lists[1].Events, large(10_000))
	}
	require.NoError(t, l.s.Commit(ctx, c))
	for _, version := range []store.Version{"", "large"} {
		events, err := l.s.Aside(ctx, 0, version, "huge", 0, 256)
		require.NoError(t, err)
		require.Len(t, events, 1, "one, however large it is")
		events, err = l.s.Aside(ctx, 0, version, "large", 0, 256)
		require.NoError(t, err)
		require.Len(t, events, (store.AsideBytes+9_999)/10_000, "the one that reaches the limit is the last")
	}
}

// listsOfStaleOwners reads and changes lists with versions that are not the shard's.
func listsOfStaleOwners(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	l.set("k", "h", 0, 3)
	stale := l.next("k", "zombie", 1, 5)
	r, err := l.s.Claim(ctx, 0, 2, "next")
	require.NoError(t, err)
	require.Equal(t, store.Version("next"), r.Version)
	require.ErrorIs(t, l.s.Commit(ctx, stale), store.ErrStale)
	for _, version := range []store.Version{l.version, "never"} {
		_, err = Heads(l.s, 0, version)
		require.ErrorIs(t, err, store.ErrStale)
		_, err = l.s.Aside(ctx, 0, version, "k", 0, 10)
		require.ErrorIs(t, err, store.ErrStale)
		_, err = l.s.Aside(ctx, 0, version, "none", 0, 0)
		require.ErrorIs(t, err, store.ErrStale, "also if there is nothing to read")
		_, err = Heads(l.s, 5, version)
		require.ErrorIs(t, err, store.ErrStale, "nobody has claimed it")
		_, err = l.s.Aside(ctx, 5, version, "k", 0, 10)
		require.ErrorIs(t, err, store.ErrStale, "nobody has claimed it")
	}
	l.version = "next"
	l.check("k")
	heads, err := Heads(l.s, 5, "")
	require.NoError(t, err)
	require.Empty(t, heads)
	_, of, err := l.s.States(ctx, 5, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{nil}, of)
	_, of, err = l.s.States(ctx, 0, nil)
	require.NoError(t, err)
	require.Empty(t, of)
	events, err := l.s.Aside(ctx, 5, "", "k", 0, 10)
	require.NoError(t, err)
	require.Empty(t, events)
}

// repeatedListCommit makes commits of lists twice: the second time they write nothing.
func repeatedListCommit(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	l.set("k", "h", 0, 3)
	again := l.next("k", "again", 2, 6)
	require.NoError(t, l.s.Commit(ctx, again))
	changed := *again
	changed.Lists = []store.List{{Key: "k", Head: []byte("other"), Drop: 2, Till: 6, At: 6, Events: eventsAt("k", 6, 9)}, {Key: "new", Head: []byte("h")}}
	require.NoError(t, l.s.Commit(ctx, &changed), "the version says that it has happened")
	l.version, l.heads["k"], l.events["k"] = again.New, "again", [2]uint64{2, 6}
	l.check("k")
	l.set("k", "behind", 3, 7)
	require.ErrorIs(t, l.s.Commit(ctx, again), store.ErrStale, "its successor has committed since")
	l.check("k")
}

// listsRaiseNeeds: a slot needs a version that knows lists from the first commit of a list on, and for ever.
func listsRaiseNeeds(t *testing.T, k Kept) {
	l := claimLists(t, k.At("one"), 0)
	claimLists(t, k.At("one"), 1)
	require.Equal(t, uint64(store.FormatStates), k.Needs(0))
	c := &store.Commit{Old: l.version, New: "plain", States: []store.Pair{{Key: "k", Value: []byte("x")}}, Owed: []byte("r"), Caps: "c"}
	require.NoError(t, l.s.Commit(context.Background(), c))
	require.Equal(t, uint64(store.FormatStates), k.Needs(0))
	l.version = "plain"
	l.set("k", "h", 0, 1)
	require.Equal(t, uint64(store.FormatLists), k.Needs(0))
	l.set("k", "", 1, 1)
	c = &store.Commit{Old: l.version, New: "behind"}
	require.NoError(t, l.s.Commit(context.Background(), c))
	require.Equal(t, uint64(store.FormatLists), k.Needs(0))
	_, err := l.s.Claim(context.Background(), 0, 2, "next")
	require.NoError(t, err)
	require.Equal(t, uint64(store.FormatLists), k.Needs(0))
	require.Equal(t, uint64(store.FormatStates), k.Needs(1), "another slot")
}

// owedAndCaps are kept in the record: what is owed until the next commit, caps until they are changed.
func owedAndCaps(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	version := store.Version("0")
	claim := func() store.Record {
		next := store.NewVersion()
		r, err := s.Claim(ctx, 0, 1, next)
		require.NoError(t, err)
		version = next
		return r
	}
	commit := func(owed []byte, caps string) {
		c := &store.Commit{Old: version, New: store.NewVersion(), Owed: owed, Caps: caps}
		require.NoError(t, s.Commit(ctx, c))
		version = c.New
	}
	r := claim()
	require.Nil(t, r.Owed)
	require.Empty(t, r.Caps)
	owed := []byte(strings.Repeat("\x00\r\nowed", 10_000))
	commit(owed, "10 20")
	r = claim()
	require.Equal(t, owed, r.Owed)
	require.Equal(t, "10 20", r.Caps)
	require.Equal(t, owed, claim().Owed, "a claim pays nothing")
	commit([]byte("other"), "")
	r = claim()
	require.Equal(t, "other", string(r.Owed))
	require.Equal(t, "10 20", r.Caps)
	for _, none := range [][]byte{nil, {}} {
		commit([]byte("x"), "")
		commit(none, "30 40")
		r = claim()
		require.Nil(t, r.Owed)
		require.Equal(t, "30 40", r.Caps)
	}
	publishers, err := Publishers(s, 0, version)
	require.NoError(t, err)
	require.Empty(t, publishers)
}
