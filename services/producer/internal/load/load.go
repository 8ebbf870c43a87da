package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/pace"
	"example.com/lockstep/services/producer/internal/pick"
	"example.com/lockstep/services/producer/internal/report"
)

// ErrAborted says that a run was ended before it could judge.
var ErrAborted = errors.New("aborted, nothing was verified")

// Load is one run.
type Load struct {
	cfg      Config
	sys      System
	progress *progress
	book     *expect.Book
	keys     pick.Picker
	traffic  *traffic
	tally    expect.Tally

	interrupted  time.Duration // since the first send; 0 if it was not
	receiptGrace time.Duration // without a receipt: the missing ones are lost
}

// New prepares a load and checks its configuration.
func New(cfg Config, sys System, progressTo io.Writer) (*Load, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	names, err := expect.NewKeys(cfg.Run, cfg.Keys)
	if err != nil {
		return nil, err
	}
	book, err := expect.NewBook(names, expect.Payload{Size: expect.Bytes(cfg.Size)}, cfg.Seed)
	if err != nil {
		return nil, err
	}
	keys, err := pick.New(cfg.Distribution, cfg.Keys, cfg.Seed)
	if err != nil {
		return nil, err
	}
	return &Load{
		cfg:      cfg,
		sys:      sys,
		progress: &progress{out: progressTo},
		book:     book,
		keys:     keys,
		traffic:  newTraffic(book),

		receiptGrace: 2 * time.Second,
	}, nil
}

// Run sends, waits until all is applied, verifies and reports. When sending
// ends, it stops sending and goes on; when ctx ends, it returns ErrAborted.
// Any other error means that the load could not run at all, or that there is no
// ledger to verify (ErrNoLedger). Run is called once.
func (l *Load) Run(ctx, sending context.Context) (report.Report, error) {
	layout, err := l.sys.Layout(ctx)
	if err != nil {
		return report.Report{}, err
	}
	publisher, err := l.sys.Open(ctx, l.cfg, l.traffic.resolved, l.traffic.received)
	if err != nil {
		return report.Report{}, err
	}
	defer l.stop(publisher)

	s := l.sender(publisher)
	if err := l.send(ctx, sending, s); err != nil {
		return report.Report{}, err
	}
	l.close(ctx, publisher, s)

	l.progress.say("waiting until every shard has reached the log's end")
	if err := drained(ctx, l.sys, l.cfg.DrainTimeout); err != nil {
		l.tally.Violate("not applied to the end: " + err.Error())
	}
	awaitReceipts(ctx, l.traffic, l.receiptGrace)
	l.stop(publisher)

	l.progress.say("verifying every key")
	err = verify(ctx, l.sys, l.book, l.cfg.DrainTimeout, &l.tally)
	if ctx.Err() != nil {
		return report.Report{}, ErrAborted
	}
	if err != nil {
		return report.Report{}, err
	}
	if failed, err := l.traffic.failure(); failed > 0 {
		l.progress.say("%d events failed, the first one: %v", failed, err)
	}
	traffic := l.traffic.snapshot()
	traffic.Interrupted = l.interrupted
	return report.New(l.cfg.report(layout.Shards), traffic, &l.tally), nil
}

func (l *Load) sender(p Publisher) *sender {
	var c clock = &unpaced{duration: l.cfg.Duration, elapsed: l.traffic.elapsed}
	if l.cfg.Rate != pace.Max {
		c = &paced{
			rate:     l.cfg.Rate,
			duration: l.cfg.Duration,
			giveUp:   l.cfg.Duration + l.cfg.DeliveryTimeout,
			elapsed:  l.traffic.elapsed,
			sleep:    time.Sleep,
		}
	}
	return &sender{
		publisher: p,
		traffic:   l.traffic,
		book:      l.book,
		clock:     c,
		receipts:  pace.NewSampler(l.cfg.Receipts),
		keys:      l.keys,
	}
}

// send is the load itself. An error means that nothing was sent.
func (l *Load) send(ctx, sending context.Context, s *sender) error {
	l.progress.say("run %s: rate %s for %s, %d keys (%s, %.3g%% of events for the hottest), %d bytes", l.cfg.Run, l.cfg.Rate, l.cfg.Duration,
		l.cfg.Keys, l.cfg.Distribution, 100*l.cfg.Distribution.Hottest(l.cfg.Keys), l.cfg.Size)
	l.traffic.start = time.Now()
	defer l.progress.follow(l.traffic)()
	sent, err := s.run(sending)
	switch {
	case ctx.Err() != nil:
		return ErrAborted
	case err != nil && sent == 0:
		return err
	case err != nil:
		l.tally.Violate("sending ended early: " + err.Error())
	case sending.Err() != nil:
		l.interrupted = l.traffic.elapsed()
		l.progress.say("interrupted: sending no more, verifying what was sent")
	case l.cfg.Rate != pace.Max && l.cfg.Rate.Intended(sent) < l.cfg.Duration:
		l.progress.say("stopped behind the rate after %d events: %s is more than is taken here", sent, l.cfg.Rate)
	}
	return nil
}

// close brings the publisher to rest and sends the last event of each shard.
func (l *Load) close(ctx context.Context, p Publisher, s *sender) {
	ctx, cancel := context.WithTimeout(ctx, 2*l.cfg.DeliveryTimeout+flushGrace)
	defer cancel()
	err := p.Flush(ctx)
	var layout Layout
	if err == nil {
		layout, err = l.sys.Layout(ctx)
	}
	if err == nil {
		err = s.close(ctx, layout)
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	// The publisher may still be telling the last outcomes.
	for err == nil && l.traffic.unresolved() > 0 {
		if err = ctx.Err(); err == nil {
			time.Sleep(time.Millisecond)
		}
	}
	if err != nil {
		l.tally.Violate(fmt.Sprintf("the load could not be closed, %d events without outcome: %v", l.traffic.unresolved(), err))
	}
}

// stop is safe to call twice, as the publisher's is.
func (l *Load) stop(p Publisher) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		l.progress.say("publisher: %v", err)
	}
}
