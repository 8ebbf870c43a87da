package consume

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/pkg/topology"
)

// findPlace finds the shard's place in the log: the message that the position names must still be there, with its time. Else
// the log has lost its tail, or is another one. The message may have been purged, if nothing behind it was that the shard has
// yet to commit.
func (o *owner) findPlace() *ending {
	purged, err := o.compare()
	if err != nil || purged {
		return because(explained(o.link, err))
	}
	timer := time.NewTimer(o.waits.place)
	defer timer.Stop()
	for {
		select {
		case m := <-o.feed.messages:
			if found, err := o.passTo(m); found || err != nil {
				return because(explained(o.link, err))
			}
		case <-timer.C:
			return because(explained(o.link, o.misplaced("but that message is gone")))
		case <-o.feed.broken:
			return because(explained(o.link, o.feed.failure))
		case <-o.own.Stop:
			return &ending{next: handOver}
		case <-o.link.Done():
			return because(context.Cause(o.link))
		}
	}
}

// compare compares the position with the log as it is now. nothing: there is no message at the position to look for.
func (o *owner) compare() (nothing bool, err error) {
	s := o.shard
	state, owner, err := o.feed.info(o.link)
	if err != nil {
		return false, err
	}
	if owner != o.topology.ID {
		return false, fmt.Errorf("%w: stream %s belongs to topology %q, this worker and its store to %q: restart the workers with its store",
			errGap, o.feed.stream, owner, o.topology.ID)
	}
	if err := o.checkReach(state.FirstSeq); err != nil {
		return false, err
	}
	if s.logEnd == 0 { // else it is the claim's, and the shard's position is found again after a pause
		s.logEnd = state.LastSeq
	}
	switch {
	case s.position.Time.IsZero(): // nothing is committed, or a gap was accepted
		return true, nil
	case state.LastSeq < s.position.Seq:
		return false, o.gap(fmt.Sprintf("which ends at %d: the log lost its tail or was made anew", state.LastSeq))
	}
	return state.FirstSeq > s.position.Seq, nil
}

// passTo takes a message that lies at the position or before it. found tells that it is the one at the position.
func (o *owner) passTo(m message) (found bool, err error) {
	at := o.shard.position
	o.feed.settle(1)
	switch {
	case m.seq > at.Seq:
		return false, o.misplaced(fmt.Sprintf("but finds message %d there", m.seq))
	case m.seq == at.Seq && !m.time.Equal(at.Time):
		return false, o.gap(fmt.Sprintf("of %s, but finds one of %s there: the log lost its tail or was made anew", at.Time.UTC(), m.time.UTC()))
	}
	return m.seq == at.Seq, nil
}

// misplaced is the error of a log that does not deliver the message at the position.
func (o *owner) misplaced(finding string) error {
	at := o.shard.position.Seq
	there, err := o.feed.at(o.link, at)
	if err != nil {
		return err
	}
	state, _, err := o.feed.info(o.link)
	switch {
	case err != nil:
		return err
	case there != nil && there.Subject != o.feed.subject:
		return o.gap(fmt.Sprintf("but message %d is another shard's: the log lost its tail or was made anew", at))
	case there != nil:
		return fmt.Errorf("%w: message %d did not come within %s", errInterrupted, at, o.waits.place)
	case state.FirstSeq > at:
		return fmt.Errorf("%w: message %d was purged meanwhile", errInterrupted, at)
	}
	return o.gap(finding)
}

// checkPurged returns an error if something was purged that the shard has yet to commit. A round that has arrived is complete
// if nothing behind the position before it is gone now. (The store may have gone back in time after the janitor
// read its position.)
func (o *owner) checkPurged() error {
	state, _, err := o.feed.info(o.link)
	if err != nil {
		return err
	}
	return o.checkReach(state.FirstSeq)
}

// checkReach returns an error unless a log that begins at first has all that the shard has yet to commit.
func (o *owner) checkReach(first uint64) error {
	at := o.shard.position.Seq
	if first <= at+1 {
		return nil
	}
	purged, err := topology.LoadPurged(o.link, o.js, o.kv, o.epoch.Epoch, o.epoch.Lane(o.n))
	if err != nil {
		return err
	}
	reaches, known := purged.Reaches(o.n, at, first)
	switch {
	case reaches:
		return nil
	case !known:
		return o.gap(fmt.Sprintf("which begins at %d: messages were removed, and not by the janitor", first))
	}
	return o.gap(fmt.Sprintf("which begins at %d: the next messages were purged, as the store had them once", first))
}

// gap is the error of a position that is not in the log.
func (o *owner) gap(finding string) error {
	return fmt.Errorf("%w: shard %d has committed up to message %d of stream %s, %s; "+
		"restore the stream, or the store that goes with it, or accept the gap (worker accept-gap %d)",
		errGap, o.n, o.shard.position.Seq, o.feed.stream, finding, o.n)
}
