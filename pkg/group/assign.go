package group

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Assign returns the member that shall own each of the shards 0 to shards-1. Every worker computes the same assignment from
// the same members, in any order. It is rendezvous hashing (Thaler and Ravishankar 1998) with bounded load (Mirrokni et al.
// 2016): of all pairs of a shard and a member the one with the highest score is settled first, and a member takes no more
// than ceil(shards / members). So a change of members moves about as few shards as it can. With no members it returns nil.
func Assign(shards int, members []string) []string {
	if len(members) == 0 || shards == 0 {
		return nil
	}
	type pair struct {
		score  uint64
		shard  int
		member int
	}
	sorted := slices.Sorted(slices.Values(members))
	sorted = slices.Compact(sorted)
	pairs := make([]pair, 0, shards*len(sorted))
	for m, id := range sorted {
		for s := range shards {
			pairs = append(pairs, pair{xxhash.Sum64String(id + "/" + strconv.Itoa(s)), s, m})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.shard, b.shard), cmp.Compare(a.member, b.member))
	})
	limit := (shards + len(sorted) - 1) / len(sorted)
	owner, load, left := make([]string, shards), make([]int, len(sorted)), shards
	for _, p := range pairs {
		if owner[p.shard] != "" || load[p.member] == limit {
			continue
		}
		owner[p.shard] = sorted[p.member]
		load[p.member]++
		if left--; left == 0 {
			break
		}
	}
	return owner
}

// neighbours returns the members that id probes: the next n in the sorted list, which begins again at its end.
func neighbours(id string, members []string, n int) []string {
	sorted := slices.Sorted(slices.Values(members))
	at, ok := slices.BinarySearch(sorted, id)
	if ok {
		sorted = slices.Delete(sorted, at, at+1)
	}
	out := make([]string, 0, n)
	for i := 0; i < n && i < len(sorted); i++ {
		out = append(out, sorted[(at+i)%len(sorted)])
	}
	return out
}
