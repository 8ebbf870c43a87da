package storetest

import (
	"context"
	"fmt"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// tornLists loses each kind of hash of a slot's lists. Nothing that touches the lost one goes on, and nothing is written.
func tornLists(t *testing.T, k Kept) {
	ctx := context.Background()
	for name, lose := range map[string]func(){
		"heads":        func() { k.LoseHeads(0) },
		"first events": func() { k.LoseEvent(0, "k", 0) },
		"last events":  func() { k.LoseEvent(0, "k", 70) },
		"the record":   func() { k.Lose(0) },
	} {
		t.Run(name, func(t *testing.T) {
			k.Wipe()
			l := claimLists(t, k.At("one"), 0)
			l.set("k", "h", 0, 100)
			lose()
			for _, c := range []*store.Commit{l.next("k", "other", 100, 200), l.next("k", "", 100, 100)} {
				require.ErrorIs(t, l.s.Commit(ctx, c), store.ErrStale)
			}
			require.ErrorIs(t, l.s.Verify(ctx, 0, l.version), store.ErrStale)
			_, err := l.s.Intact(ctx, 0)
			require.ErrorIs(t, err, store.ErrTorn)
			_, found := l.s.Claim(ctx, 0, 2, "next")
			require.ErrorIs(t, found, store.ErrTorn)
			_, err = l.s.Aside(ctx, 0, "", "k", 0, 100)
			tornOrRead(t, err, name != "heads", store.ErrTorn)
			_, err = l.s.Aside(ctx, 0, l.version, "k", 0, 100)
			tornOrRead(t, err, name != "heads", store.ErrStale)
			headsLost := name == "heads" || name == "the record"
			_, err = Heads(l.s, 0, "")
			tornOrRead(t, err, headsLost, store.ErrTorn)
			_, err = Heads(l.s, 0, l.version)
			tornOrRead(t, err, headsLost, store.ErrStale)
			_, _, err = l.s.States(ctx, 0, []string{"k"})
			tornOrRead(t, err, headsLost, store.ErrTorn)

			require.NoError(t, l.s.Empty(ctx, 0, store.MarkersOf(found)))
			_, err = l.s.Claim(ctx, 0, 2, "next")
			require.NoError(t, err)
			l.version = "next"
			clear(l.heads)
			clear(l.events)
			l.check("k")
			require.Equal(t, uint64(store.FormatStates), k.Needs(0))
		})
	}
}

// tornOrRead requires an error of a call that touches a lost hash, and none of another call.
func tornOrRead(t *testing.T, err error, touches bool, want error) {
	t.Helper()
	if touches {
		require.ErrorIs(t, err, want)
	} else {
		require.NoError(t, err)
	}
}

// listsNeedKeys: a list has a key of at least one byte.
func listsNeedKeys(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	for _, head := range [][]byte{nil, []byte("h")} {
		c := &store.Commit{Old: l.version, New: "next", Lists: []store.List{{Key: "k", Head: []byte("h")}, {Head: head}}}
		require.ErrorIs(t, l.s.Commit(ctx, c), store.ErrNoKey)
	}
	_, _, err := l.s.States(ctx, 0, []string{"k", ""})
	require.ErrorIs(t, err, store.ErrNoKey)
	_, err = l.s.Aside(ctx, 0, l.version, "", 0, 1)
	require.ErrorIs(t, err, store.ErrNoKey)
	_, err = l.s.Aside(ctx, 0, "", "", 0, 1)
	require.ErrorIs(t, err, store.ErrNoKey)
	l.check("k")
}

// headsReaderFails: the reading of heads ends with its reader's error.
func headsReaderFails(t *testing.T, k Kept) {
	l := claimLists(t, k.At("one"), 0)
	l.set("a", "h", 0, 1)
	l.set("b", "h", 0, 1)
	for _, version := range []store.Version{"", l.version} {
		calls := 0
		err := l.s.Heads(context.Background(), 0, version, func(string, []byte) error {
			calls++
			return errReader
		})
		require.ErrorIs(t, err, errReader)
		require.Equal(t, 1, calls)
	}
}

// listsChangeWhileRead changes the lists after the first head was read: the owner that reads is told, any other process reads on.
func listsChangeWhileRead(t *testing.T, k Kept) {
	ctx := context.Background()
	l := claimLists(t, k.At("one"), 0)
	c := &store.Commit{Old: l.version, New: "first"}
	for i := range 3000 {
		c.Lists = append(c.Lists, store.List{Key: fmt.Sprint(i), Head: []byte("h")})
	}
	require.NoError(t, l.s.Commit(ctx, c))
	version := c.New
	for _, owner := range []bool{true, false} {
		reads := version
		if !owner {
			reads = ""
		}
		got := make(map[string]bool)
		err := l.s.Heads(ctx, 0, reads, func(key string, _ []byte) error {
			if len(got) == 0 {
				next := &store.Commit{Old: version, New: store.NewVersion(), Lists: []store.List{{Key: "new", Head: []byte("h")}, {Key: "7"}}}
				require.NoError(t, l.s.Commit(ctx, next))
				version = next.New
			}
			got[key] = true
			return nil
		})
		if owner && err != nil { // else all had come before
			require.ErrorIs(t, err, store.ErrStale)
			continue
		}
		require.NoError(t, err)
		for i := range 3000 {
			if key := fmt.Sprint(i); key != "7" {
				require.True(t, got[key], "list %s was there all the time", key)
			}
		}
	}
}
