package consume

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Bounds of a brake.
const (
	brakeWindow   = 10 * time.Second // first attempts count for so long
	brakeSlots    = 20               // parts of the window, which leave it as a whole
	brakeShare    = 5                // at least so many first attempts for each that fails, or the shard brakes
	brakeKeys     = 10               // if failures are of so many keys
	trialAttempts = 16               // first attempts that a braked shard makes to look whether its handler is mended
	brakeGapMin   = time.Second      // between two trials: the first gap; each one more is twice as long
	brakeGapMax   = time.Minute
)

// brake stops a shard from taking events when many first attempts fail: a bad deploy must not park every key. It has no clock.
//
// It counts first attempts only. An event that joins a list makes none, so one hot key whose events fail cannot stop its shard.
// A braked shard makes a trial from time to time. It goes on when at most one in five first attempts of a trial has failed.
type brake struct {
	slots [brakeSlots]brakeSlot
	slot  int64 // number of the newest one, by the clock

	term  uint32        // counts the brake's changes: attempts that began before the newest one count no more
	gap   time.Duration // until the next trial, as it was last; 0: the shard is not braked
	until time.Time     // no first attempt before, while braked
	trial *brakeTrial   // under way; nil: none is
	why   string        // the shard is braked; for operators
}

// brakeSlot counts the first attempts of one part of the window.
type brakeSlot struct {
	tried, failed int
	keys          []string // of those that failed, at most brakeKeys
}

// brakeTrial counts the first attempts of a trial.
type brakeTrial struct {
	began         time.Time
	left          int // that may still begin
	tried, failed int // that have ended
}

// braked tells whether the shard is braked, also while a trial is under way.
func (b *brake) braked() bool { return b.gap > 0 }

// room is how many first attempts may begin now.
func (b *brake) room(now time.Time) int {
	if !b.braked() {
		return math.MaxInt
	}
	if b.trial != nil && now.Sub(b.trial.began) >= brakeWindow { // some of its attempts never ended, or there were few events
		b.judge(now, b.trial.tried)
	}
	switch {
	case !b.braked():
		return math.MaxInt
	case now.Before(b.until):
		return 0
	case b.trial == nil:
		b.term++
		b.trial = &brakeTrial{began: now, left: trialAttempts}
	}
	return b.trial.left
}

// wait is how long room stays 0 unless an attempt ends; 0 if there is room.
func (b *brake) wait(now time.Time) time.Duration {
	switch {
	case b.room(now) > 0:
		return 0
	case b.trial != nil:
		return b.trial.began.Add(brakeWindow).Sub(now)
	}
	return b.until.Sub(now)
}

// begin says that n first attempts begin, for which there was room, and returns the term that they belong to.
func (b *brake) begin(n int) (term uint32) {
	if b.trial != nil {
		b.trial.left -= n
	}
	return b.term
}

// succeeded says that n first attempts of a term have ended and did not fail.
func (b *brake) succeeded(term uint32, n int, now time.Time) {
	switch {
	case term != b.term:
	case b.trial != nil:
		b.trial.tried += n
		b.end(now)
	case !b.braked():
		b.advance(now)
		b.newest().tried += n
	}
}

// failed says that a first attempt of a term has failed.
func (b *brake) failed(term uint32, key string, now time.Time) {
	switch {
	case term != b.term:
	case b.trial != nil:
		b.trial.tried++
		b.trial.failed++
		b.end(now)
	case !b.braked():
		b.advance(now)
		s := b.newest()
		s.tried++
		s.failed++
		if len(s.keys) < brakeKeys && !slices.Contains(s.keys, key) {
			s.keys = append(s.keys, key)
		}
		b.look(now)
	}
}

// end ends the trial, if enough of its attempts have ended.
func (b *brake) end(now time.Time) {
	if t := b.trial; t.failed*brakeShare > trialAttempts || t.tried >= trialAttempts {
		b.judge(now, trialAttempts)
	}
}

// judge ends the trial, which had n attempts.
func (b *brake) judge(now time.Time, n int) {
	failed, tried := b.trial.failed, b.trial.tried
	*b = brake{term: b.term + 1, gap: b.gap}
	if failed*brakeShare <= n {
		b.gap = 0
		return
	}
	b.gap = min(2*b.gap, brakeGapMax)
	b.until = now.Add(b.gap)
	b.why = fmt.Sprintf("%d of %d events of a trial failed", failed, tried)
}

// look brakes the shard if too many first attempts of the window have failed.
func (b *brake) look(now time.Time) {
	tried, failed := 0, 0
	var keys []string
	for i := range b.slots {
		tried += b.slots[i].tried
		failed += b.slots[i].failed
	}
	if failed*brakeShare <= tried || failed < brakeKeys {
		return
	}
	for i := range b.slots {
		for _, key := range b.slots[i].keys {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		if len(keys) >= brakeKeys {
			*b = brake{
				term: b.term + 1, gap: brakeGapMin, until: now.Add(brakeGapMin),
				why: fmt.Sprintf("%d of %d events failed at their first attempt within %s", failed, tried, brakeWindow),
			}
			return
		}
	}
}

func (b *brake) newest() *brakeSlot { return &b.slots[b.slot%brakeSlots] }

// advance empties the slots that have left the window.
func (b *brake) advance(now time.Time) {
	slot := now.UnixNano() / int64(brakeWindow/brakeSlots)
	for b.slot = max(b.slot, slot-brakeSlots); b.slot < slot; {
		b.slot++
		*b.newest() = brakeSlot{keys: b.newest().keys[:0]}
	}
}
