package expect

import (
	"fmt"
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
)

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		payload Payload
		keys    int
	}{
		{Payload{}, 10_000},
		{Payload{}, 1_000_000},
		{Payload{Size: Size{64, 192}}, 10_000},
		{Payload{Content: Compressible}, 10_000},
		{Payload{Content: fileOf(b, strings.Repeat(strings.Repeat("x", 117)+"\n", 1000))}, 10_000},
	} {
		name, _, _ := strings.Cut(c.payload.String(), " of ")
		b.Run(fmt.Sprintf("%s/keys=%d", name, c.keys), func(b *testing.B) {
			book := newBookOf(b, c.keys, c.payload)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				key := i * 7919 % c.keys
				i++
				_, chain, _ := book.Next(key)
				book.Sent(key, chain)
				book.Settle(key, Stored)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	const keys = 100_000
	book := newBookOf(b, keys, Payload{})
	for i := range 3 * keys {
		sendAll(book, i%keys, Stored)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		key := i % keys
		i++
		if book.Check(key, State{Found: true, Proof: store.Proof{Count: 3, Chain: book.chain[key]}}).Kind != Fine {
			b.Fatal("a state that is right was found wrong")
		}
	}
}
