package consume

import "unsafe"

// What a worker holds of its logs is bounded by count and by bytes, however long its store takes no commits:
//
//   - A shard's feed holds at most two pulls: the rest of one, and the next, which is asked for when half of the first has
//     been taken.
//   - While a shard shares a feed with others, that feed holds two pulls, and the shard's queue seatMessages or the bytes of one
//     pull. A shard has a feed of its own beside it only while it moves from one to the other.
//   - A round holds one message. It takes more only while all rounds of the worker together hold less than roundsBytes.
//   - While a handler fails, a round keeps encoded states too: maxResults, and the last one.
//
// The bounds of feeds and rounds shrink with the number of shards, for a worker may come to own them all. A pull must hold the
// largest message, or it would never come: with more than 16 shards each one more may hold 2.1 MiB more in its feed, and a message in its round.
const (
	feedsBytes    = 34 << 20 // of all feeds, as they stand on the wire
	feedsMessages = 32 << 10 // of all feeds: small messages cost more than their bytes
	maxPullBytes  = 2 << 20
	// minPullBytes is room for the largest message: 1 MiB, NATS's default max_payload, which no batch exceeds, with its
	// subjects and headers.
	minPullBytes    = 1<<20 + 64<<10
	minPullMessages = 64

	roundsBytes = 16 << 20 // of all rounds, messages and the events found in them
	itemBytes   = int64(unsafe.Sizeof(item{}))
	// keepItems is how many events a round keeps room for, twice those of a common round: more are rare.
	keepItems = 8 << 10
)

// pullLimits bound one pull of a shard's feed, by the number of shards.
func pullLimits(shards int) (messages, bytes int) {
	return max(minPullMessages, feedsMessages/2/shards), min(max(minPullBytes, feedsBytes/2/shards), maxPullBytes)
}

// share is what one shard holds of a budget.
type share struct {
	of   *budget
	held int64
}

// hold says that the shard now holds n bytes.
func (s *share) hold(n int64) {
	s.of.used.Add(n - s.held)
	s.held = n
}

// left tells whether any of the budget is left.
func (s *share) left() bool { return s.of.used.Load() < s.of.max }
