package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoGap means that a shard's position is in its log, and that the next message can be read.
var ErrNoGap = errors.New("there is no gap")

// AcceptGap lets a shard go on whose log and store do not fit together, and describes the gap that it accepted. The store
// misses the events that lay in the gap. If the log was made anew, events that it holds again are applied again, as new ones.
// If the shard's next message cannot be read, it is passed over. If the shard's slot is torn, it is emptied, and the messages
// that the log still has are applied. The shard's owner notices by itself.
func AcceptGap(
	ctx context.Context, js jetstream.JetStream, app string, shard int, open func(topology string) store.Store, log *slog.Logger,
) (string, error) {
	if _, err := topology.Load(ctx, js, app); err != nil { // Join would wait for a topology
		return "", err
	}
	t, kv, err := topology.Join(ctx, js, app, log)
	if err != nil {
		return "", err
	}
	epoch := t.Current()
	if shard < 0 || shard >= epoch.Shards {
		return "", fmt.Errorf("shard %d: there are shards 0 to %d", shard, epoch.Shards-1)
	}
	st := open(t.ID)
	if err := st.Check(ctx, epoch.Shards); err != nil {
		return "", err
	}
	torn, err := emptyIfTorn(ctx, st, shard)
	if err != nil {
		return "", err
	}
	shards, err := st.Shards(ctx, epoch.Shards)
	if err != nil {
		return "", err
	}
	if err := shards[shard].Err; err != nil {
		return "", fmt.Errorf("shard %d: %w", shard, err)
	}
	at := shards[shard].Position
	name := topology.StreamName(app, epoch.Epoch, epoch.Lane(shard))
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return "", fmt.Errorf("look at stream %s: %w", name, err)
	}
	g := gap{
		shard: shard, epoch: epoch, js: js, stream: name, state: stream.CachedInfo().State,
		subject: topology.WorkSubject(app, epoch.Epoch, epoch.Lane(shard), shard), at: at,
	}
	to, what, err := g.find(ctx, kv)
	if torn && errors.Is(err, ErrNoGap) {
		return fmt.Sprintf("shard %d's slot was torn and is emptied; the log has all its messages and fills it", shard), nil
	}
	if err != nil {
		return "", err
	}
	for range acceptTries {
		if err = move(ctx, st, shard, at, to); !errors.Is(err, store.ErrStale) {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("accept the gap of shard %d: %w", shard, err)
	}
	return what, nil
}

func emptyIfTorn(ctx context.Context, st store.Store, shard int) (torn bool, err error) {
	_, found := st.Intact(ctx, shard)
	if !errors.Is(found, store.ErrTorn) {
		return false, found
	}
	return true, st.Empty(ctx, shard, store.MarkersOf(found))
}

// acceptTries is how often a shard is claimed to move its position: its owner, which looks from time to time whether log
// and store fit together again, claims it too and may come between.
const acceptTries = 10

// move moves a shard's position, if that is still where it was.
func move(ctx context.Context, st store.Store, shard int, from, to store.Position) error {
	version := store.NewVersion()
	rec, err := st.Claim(ctx, shard, 0, version)
	if err != nil {
		return err
	}
	if rec.Position != from {
		return fmt.Errorf("it has gone on to message %d meanwhile: nothing was changed", rec.Position.Seq)
	}
	return st.Commit(ctx, &store.Commit{
		Shard: shard, Old: version, New: store.NewVersion(), Position: to, Late: rec.Late, LateLast: rec.LateLast, Owed: rec.Owed,
	})
}

// gap is a shard's position beside its log.
type gap struct {
	shard   int
	epoch   topology.Epoch
	js      jetstream.JetStream
	stream  string
	state   jetstream.StreamState // of the stream
	subject string
	at      store.Position
}

// find returns the position to go on from.
func (g *gap) find(ctx context.Context, kv jetstream.KeyValue) (store.Position, string, error) {
	fits, err := g.fits(ctx)
	if err != nil {
		return store.Position{}, "", err
	}
	if !fits {
		last, err := topology.LastBefore(ctx, g.js, g.stream, g.state, g.at.Time)
		if err != nil {
			return store.Position{}, "", err
		}
		return store.Position{Epoch: g.epoch.Epoch, Seq: last},
			fmt.Sprintf("shard %d had committed up to message %d of %s, which is not in its log; it goes on behind message %d",
				g.shard, g.at.Seq, g.at.Time.UTC(), last), nil
	}
	purged, err := topology.LoadPurged(ctx, g.js, kv, g.epoch.Epoch, g.epoch.Lane(g.shard))
	if err != nil {
		return store.Position{}, "", err
	}
	if reaches, known := purged.Reaches(g.shard, g.at.Seq, g.state.FirstSeq); !reaches || !known {
		return store.Position{Epoch: g.epoch.Epoch, Seq: g.state.FirstSeq - 1},
			fmt.Sprintf("shard %d had committed up to message %d; messages %d to %d are gone; it goes on behind them",
				g.shard, g.at.Seq, g.at.Seq+1, g.state.FirstSeq-1), nil
	}
	m, err := topology.NextMessage(ctx, g.js, g.stream, g.subject, g.at.Seq+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return store.Position{}, "", fmt.Errorf("shard %d: %w: nothing was changed", g.shard, ErrNoGap)
	}
	if err != nil {
		return store.Position{}, "", fmt.Errorf("look at the message behind %d: %w", g.at.Seq, err)
	}
	r := &round{at: frame.Place{Epoch: g.epoch.Epoch, Shard: g.shard}, owns: func([]byte) bool { return true }}
	bad := r.add(message{seq: m.Sequence, time: m.Time, header: m.Header, data: m.Data})
	if bad == nil {
		return store.Position{}, "", fmt.Errorf("shard %d: %w: nothing was changed", g.shard, ErrNoGap)
	}
	return store.Position{Epoch: g.epoch.Epoch, Seq: m.Sequence, Time: m.Time},
		fmt.Sprintf("shard %d passes over message %d, which cannot be read: %v", g.shard, m.Sequence, bad), nil
}

// fits tells whether the message at the position is the one that was committed, or may have been purged.
func (g *gap) fits(ctx context.Context) (bool, error) {
	if g.at.Time.IsZero() || g.state.FirstSeq > g.at.Seq && g.state.LastSeq >= g.at.Seq {
		return true, nil
	}
	m, err := topology.MessageAt(ctx, g.js, g.stream, g.at.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at message %d: %w", g.at.Seq, err)
	}
	return m.Time.Equal(g.at.Time) && m.Subject == g.subject, nil
}
