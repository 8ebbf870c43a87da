package expect

import "example.com/lockstep/pkg/store"

// State is what the store holds for a key, as far as the check needs it. The zero State is that of a key without state.
type State struct {
	Found bool // the key has a state
	store.Proof

	SetAside uint64 // events of the key that wait in its list, whether it has a state or not
	Parked   bool   // they wait for an operator
}
