package ring

import (
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/dgryski/go-jump"
)

// BenchmarkLookup measures the ring beside jump hash (Lamping and Veach 2014), both
// from the key to the shard. Jump hash needs no memory, but can only remove the last shard.
//
//	go test -run '^$' -bench Lookup ./ring
func BenchmarkLookup(b *testing.B) {
	const mask = 1<<14 - 1
	sample := keys(mask + 1)
	for _, n := range []int{16, 256, 1024} {
		r := build(b, count(n))
		b.Run(fmt.Sprintf("shards=%d/ring", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Shard(sample[i&mask])
				i++
			}
		})
		b.Run(fmt.Sprintf("shards=%d/jump", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				jump.Hash(xxhash.Sum64String(sample[i&mask]), n)
				i++
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{16, 256, 1024} {
		shards := count(n)
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				build(b, shards)
			}
		})
	}
}

// BenchmarkSaltSearch repeats the search that gave salt its value. It takes some 10 s.
//
//	go test -run '^$' -bench SaltSearch -benchtime 1x ./ring
func BenchmarkSaltSearch(b *testing.B) {
	for b.Loop() {
		found := 0
		for uneven(found, allCounts) != "" {
			found++
		}
		if found != salt {
			b.Fatalf("the first even salt is %d, not %d", found, salt)
		}
	}
}
