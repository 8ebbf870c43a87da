package expect

// Proof is what the platform keeps beside a key's state.
type Proof struct {
	Count   uint64 // events applied as the state grew
	Chain   uint64 // over their payloads, in order
	Dropped uint64 // events that were dropped meanwhile
}

// State is what the store holds for a key, as far as the check needs it. The zero State is that of a key without state.
type State struct {
	Found bool // the key has a state
	Proof
}
