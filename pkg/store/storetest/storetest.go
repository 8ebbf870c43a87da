// Package storetest is the suite that every store must pass, and a store in memory.
package storetest

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// Kept is one store, with what a test does to it.
type Kept struct {
	At   func(topology string) store.Store // as a worker of that topology sees it
	Wipe func()                            // empties it

	Lose      func(shard int)                // removes a shard's record by hand
	LoseState func(shard int, key string)    // removes the bucket that holds a key's state, with all that it holds
	LoseAll   func(shard int)                // removes all of a shard's slot
	Need      func(shard int, format uint64) // makes a shard's record one of that format

	Needs     func(shard int) uint64                    // the format that a shard's record needs
	LoseHeads func(shard int)                           // removes the hash with the heads of a shard's lists
	LoseEvent func(shard int, key string, index uint64) // removes the hash that holds an event of a key's list, with all that it holds
}

// Publishers are a shard's, as its owner reads them.
func Publishers(s store.Store, shard int, version store.Version) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := s.Publishers(context.Background(), shard, version, func(id string, encoded []byte) (bool, error) {
		_, known := out[id]
		out[id] = encoded
		return !known, nil
	})
	return out, err
}

// Run runs the suite. open makes a fresh store.
func Run(t *testing.T, open func(t *testing.T) Kept) {
	for name, test := range map[string]func(*testing.T, Kept){
		"claim raises the fence and draws a version":          claimRaisesFence,
		"commit writes all":                                   commitWritesAll,
		"a token is found by name":                            tokenIsFound,
		"a stale commit and a stale load do nothing":          staleDoesNothing,
		"a repeated commit is done once":                      repeatedCommit,
		"a wiped store is stale, and claimed again is empty":  wipedStore,
		"another topology is refused":                         anotherTopology,
		"a slot of a later format is refused":                 laterFormat,
		"a torn slot is not used, and can be emptied":         tornSlot,
		"a state can go":                                      stateGoes,
		"slots are independent":                               independentSlots,
		"a slot never claimed is empty":                       neverClaimed,
		"publishers of a torn slot":                           publishersOfTornSlot,
		"only the asked shards are checked":                   checksShards,
		"keys are any bytes but none":                         oddKeys,
		"a record of many publishers is read in full":         manyPublishers,
		"a record that changes while it is read is not mixed": changedWhileRead,
		"reading a record ends with an error of its reader":   readerFails,
		"large rounds":                                        largeRounds,
		"a list grows and shrinks":                            listGrowsAndShrinks,
		"lists are apart":                                     listsAreApart,
		"a long list is read in pieces":                       longList,
		"lists under another version":                         listsOfStaleOwners,
		"a repeated commit of a list is done once":            repeatedListCommit,
		"lists raise the format that a slot needs":            listsRaiseNeeds,
		"what is owed, and caps":                              owedAndCaps,
		"lists of a torn slot are not used":                   tornLists,
		"lists have keys":                                     listsNeedKeys,
		"reading heads ends with an error of its reader":      headsReaderFails,
		"lists that change while they are read":               listsChangeWhileRead,
		"a key has its state and list at one time":            stateOrList,
		"of racing owners one wins each round":                racingOwners,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func tokenIsFound(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	require.NoError(t, s.PutToken(ctx, "a", "x"))
	for name, want := range map[string]string{"a": "x", "b": ""} {
		got, err := k.At("two").Token(ctx, name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	k.Wipe()
	got, err := s.Token(ctx, "a")
	require.NoError(t, err)
	require.Empty(t, got)
}
