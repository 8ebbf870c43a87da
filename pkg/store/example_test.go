package store_test

import (
	"fmt"
	"log"

	"example.com/lockstep/pkg/store"
)

// Equal proofs mean that the same payloads were applied in the same order. A producer computes the proof from what it sent.
func ExampleProof_Apply() {
	var sent, applied, swapped store.Proof
	for _, payload := range []string{"1 a", "2 b", "3 c"} {
		sent = sent.Apply([]byte(payload))
	}
	for _, payload := range []string{"1 a", "2 b", "3 c"} {
		applied = applied.Apply([]byte(payload))
	}
	for _, payload := range []string{"2 b", "1 a", "3 c"} {
		swapped = swapped.Apply([]byte(payload))
	}
	fmt.Println(sent == applied, sent == swapped, sent.Count == swapped.Count)
	// Output: true false true
}

// A stored state is its proof, and the envelope that the handler made.
func ExampleSplitState() {
	stored := store.Envelope{Codec: store.CodecJSON, Schema: 1, Data: []byte(`{"balance":5}`)}.Append(store.Proof{Count: 3}.Append(nil))

	proof, rest, err := store.SplitState(stored)
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := store.DecodeEnvelope(rest)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d events, schema %d: %s\n", proof.Count, envelope.Schema, envelope.Data)
	// Output: 3 events, schema 1: {"balance":5}
}
