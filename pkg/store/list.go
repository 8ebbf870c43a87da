package store

// List is what a commit does to the list of a key's events that are set aside. A list is a head, which the caller encodes, and the
// events with the indices that the caller gives them: one behind the other, without a gap. The store keeps both as they are.
type List struct {
	Key  string
	Head []byte // the new head; nil: the key has no list any more, and the commit removes the last of its events

	// The events with the indices Drop to Till-1 are removed. None may be among Events.
	Drop, Till uint64

	At     uint64   // the index of the first of Events
	Events [][]byte // are added
}

// AsideBytes bounds one answer with events of a list.
const AsideBytes = 256 << 10
