package window

import (
	"cmp"
	"time"

	"example.com/lockstep/pkg/frame"
)

// Times of a frame in flight.
const (
	attemptTimeout = 500 * time.Millisecond // without an answer for that long, a frame is sent again
	minBackoff     = 10 * time.Millisecond  // after a refusal that may pass
	maxBackoff     = 2 * time.Second
)

// freeAfter bounds how long a frame keeps the pipe busy: a frame that is lost, or has a long way, must not hold up all keys.
// Where a round trip takes far less, one frame in flight at a time makes larger frames and batches than two would, and so
// less work for routers and workers.
const freeAfter = 5 * time.Millisecond

// rest is the most that a small frame waits after the one before it has left, while events come by themselves: a frame costs
// every process on its way much the same, however few events it has. It delays nothing where it would gain little:
//
//   - The first event after a rest leaves at once.
//   - Senders that each wait for their answer leave as soon as all wait again: as many events as were outstanding when the
//     last answer came. One sender alone never waits.
//   - A frame of enough events leaves at once.
//   - A round trip that takes longer is not made longer.
//
// Measured with 16 shards, all processes but the producer: at 2,000 events/s two thirds of the CPU time, for 1.1 ms more from send
// to commit; at 20,000 events/s nine tenths, for 0.2 ms more. With 32 as enough, three quarters, for 0.7 ms more.
const (
	rest   = 2 * time.Millisecond
	enough = 24
)

// Limits bound what is outstanding.
type Limits struct {
	Events  int
	Bytes   int           // encoded
	Timeout time.Duration // of an event, from when it was added until it is given up
}

// Event is one event on its way. A caller embeds it in its own record of the event, so that both are one allocation.
type Event struct {
	Draft frame.Draft
	Seq   uint64 // 0 until it leaves
	Of    any    // the caller's record

	key          *keyQueue
	deadline     time.Time
	byAge, ofKey links[Event] // while it has not left
}

// Frame is a frame in flight. A caller reads it only.
type Frame struct {
	ID      uint64
	Attempt int // 1, 2, 3 ...
	Data    []byte
	Events  []*Event
	Refusal frame.Answer // the last one that let it be sent again; the zero value if none has

	changed         bool // events were taken out since Data was made
	newest, earlier bool // the newest attempt, or one before it, may have come to a router
	resendAt        time.Time
	deadline        time.Time // given up then
}

// MayBeStored tells whether an attempt may have come to a router. A frame that is given up before is certainly not stored.
func (f *Frame) MayBeStored() bool { return f.newest || f.earlier }

// attempt counts an attempt. The wait for an answer doubles with each.
func (f *Frame) attempt(now time.Time) {
	f.Attempt++
	f.earlier, f.newest = f.MayBeStored(), true
	f.resendAt = now.Add(min(attemptTimeout<<min(f.Attempt-1, 2), maxBackoff))
}

// refused sets when the frame is sent again after a refusal that may pass.
func (f *Frame) refused(now time.Time) {
	f.resendAt = now.Add(min(minBackoff<<min(f.Attempt-1, 8), maxBackoff))
}

func older(a, b *Frame) int { return cmp.Compare(a.ID, b.ID) }
