package consume

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/topology"
)

// place finds the shard's place: the message that the position names must still be there, with its time. Else the log has
// lost its tail, or is another one. It may have been purged, if nothing behind it was that the shard has yet to commit.
// Receipts for the last round are sent again, as the last owner may have died before it did.
func (w *Worker) place(ctx context.Context, o group.Ownership, s *shard, f *feed, r *round) error {
	state, owner, err := f.info(ctx)
	if err != nil {
		return err
	}
	if owner != w.topology.ID {
		return fmt.Errorf("%w: stream %s belongs to topology %q, this worker and its store to %q: start the workers anew, on the store that goes with the log",
			errGap, f.stream, owner, w.topology.ID)
	}
	if err := w.reaches(ctx, s, f, state.FirstSeq); err != nil {
		return err
	}
	if s.logEnd == 0 { // else it is the claim's, and the shard's position is found again after a pause
		s.logEnd = state.LastSeq
	}
	switch {
	case s.position.Time.IsZero(): // nothing is committed, or a gap was accepted
		return nil
	case state.LastSeq < s.position.Seq:
		return s.gap(f, fmt.Sprintf("which ends at %d: the log lost its tail or was made anew", state.LastSeq))
	case state.FirstSeq > s.position.Seq:
		return nil
	}
	timer := time.NewTimer(w.waits.place)
	defer timer.Stop()
	for {
		select {
		case m := <-f.messages:
			f.settle(1)
			switch {
			case m.seq < s.position.Seq:
			case m.seq > s.position.Seq:
				return w.misplaced(ctx, s, f, fmt.Sprintf("but finds message %d there", m.seq))
			case !m.time.Equal(s.position.Time):
				return s.gap(f, fmt.Sprintf("of %s, but finds one of %s there: the log lost its tail or was made anew", s.position.Time.UTC(), m.time.UTC()))
			}
			_ = r.add(m) // one that cannot be read was passed over
			if m.seq == s.position.Seq {
				w.receipts.add(r.askedReceipts())
				r.reset()
				return nil
			}
		case <-f.broken:
			return f.failure
		case <-timer.C:
			return w.misplaced(ctx, s, f, "but that message is gone")
		case <-o.Stop:
			return errHandOver
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// misplaced is the error of a log that does not deliver the message at the position.
func (w *Worker) misplaced(ctx context.Context, s *shard, f *feed, what string) error {
	there, err := f.at(ctx, s.position.Seq)
	if err != nil {
		return err
	}
	state, _, err := f.info(ctx)
	switch {
	case err != nil:
		return err
	case there != nil && there.Subject != f.subject:
		return s.gap(f, fmt.Sprintf("but message %d is another shard's: the log lost its tail or was made anew", s.position.Seq))
	case there != nil:
		return fmt.Errorf("%w: message %d did not come within %s", errReopen, s.position.Seq, w.waits.place)
	case state.FirstSeq > s.position.Seq:
		return fmt.Errorf("%w: message %d was purged meanwhile", errReopen, s.position.Seq)
	}
	return s.gap(f, what)
}

// whole returns an error if something was purged that the shard has yet to commit. A round that has arrived is whole if
// nothing behind the position before it is gone now. (The store may have gone back in time behind what the janitor saw.)
func (w *Worker) whole(ctx context.Context, s *shard, f *feed) error {
	state, _, err := f.info(ctx)
	if err != nil {
		return err
	}
	return w.reaches(ctx, s, f, state.FirstSeq)
}

// reaches returns an error unless a log that begins at first has all that the shard has yet to commit.
func (w *Worker) reaches(ctx context.Context, s *shard, f *feed, first uint64) error {
	if first <= s.position.Seq+1 {
		return nil
	}
	epoch := w.topology.Current()
	purged, err := topology.LoadPurged(ctx, w.js, w.kv, epoch.Epoch, epoch.Lane(s.n))
	if err != nil {
		return err
	}
	reaches, known := purged.Reaches(s.n, s.position.Seq, first)
	switch {
	case reaches:
		return nil
	case !known:
		return s.gap(f, fmt.Sprintf("which begins at %d: messages were removed, and not by the janitor", first))
	}
	return s.gap(f, fmt.Sprintf("which begins at %d: what follows was purged, for the store had it once", first))
}

// gap is the error of a position that is not in the log.
func (s *shard) gap(f *feed, what string) error {
	return fmt.Errorf("%w: shard %d has committed up to message %d of stream %s, %s; restore it, or the store that goes with it, or accept the gap (worker accept-gap %d)",
		errGap, s.n, s.position.Seq, f.stream, what, s.n)
}

func unreadable(n int, f *feed, m message, err error) error {
	return fmt.Errorf("%w: shard %d: message %d of stream %s cannot be read: %w; pass over it (worker accept-gap %d), or remove it (nats stream rmm %s %d)", errGap, n, m.seq, f.stream, err, n, f.stream, m.seq)
}
