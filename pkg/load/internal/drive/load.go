package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/pick"
	"example.com/lockstep/pkg/load/internal/progress"
)

// ErrAborted says that a run was ended before it could judge.
var ErrAborted = errors.New("aborted, nothing was verified")

// Load is one run.
type Load struct {
	cfg     Config
	sys     System
	view    progress.View
	book    *expect.Book
	keys    pick.Picker
	refuse  load.Check
	traffic *traffic
	tally   expect.Tally
	short   []measure.Short // shards that did not reach the log's end
	startAt time.Time

	receiptGrace time.Duration // without a receipt: the missing ones are lost
}

// New prepares a load of an application's events, and checks its configuration.
func New(cfg Config, app load.Application, sys System, view progress.View) (*Load, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	events, err := expect.NewEvents(app.Generate, cfg.Payload, cfg.Seed)
	if err != nil {
		return nil, err
	}
	events.Poison = cfg.Poison
	names, keys, err := keysOf(cfg, events)
	if err != nil {
		return nil, err
	}
	book, err := expect.NewBook(names, events)
	if err != nil {
		return nil, err
	}
	return &Load{
		cfg:     cfg,
		sys:     sys,
		view:    view,
		book:    book,
		keys:    keys,
		refuse:  app.Check,
		traffic: newTraffic(book, cfg.WarmUp),

		receiptGrace: 2 * time.Second,
	}, nil
}

// keysOf names the keys of a load, and picks them: those of a trace, or as many
// as were asked for.
func keysOf(cfg Config, events *expect.Events) (expect.Keys, pick.Picker, error) {
	if !cfg.Distribution.Recorded() {
		names, err := events.Keys(cfg.Run, cfg.Keys)
		if err != nil {
			return expect.Keys{}, nil, err
		}
		keys, err := pick.New(cfg.Distribution, cfg.Keys, cfg.Seed)
		return names, keys, err
	}
	trace, err := cfg.Distribution.Open(expect.LongestName(cfg.Run))
	if err != nil {
		return expect.Keys{}, nil, err
	}
	if cfg.Keys != 0 {
		if err := trace.Check(cfg.Keys); err != nil {
			return expect.Keys{}, nil, err
		}
	}
	names, err := expect.NamedKeys(cfg.Run, trace.Names())
	return names, trace.Picker(), err
}

// Bytes returns how much memory the load takes for as long as it lasts: for its
// keys and payloads, and for the events of a trace.
func (l *Load) Bytes() int64 {
	n := l.book.Bytes() + 2*int64(l.book.Len()) // their shards
	if t, recorded := l.keys.(interface{ Bytes() int64 }); recorded {
		n += t.Bytes()
	}
	return n
}

// StartAt says when to start, which Run otherwise does at once.
func (l *Load) StartAt(at time.Time) { l.startAt = at }

// Run sends, waits until all is applied, verifies, and returns what it measured.
// When sending ends, it stops sending and goes on, or ends the wait for the log's end; when ctx ends, it returns
// ErrAborted. Any other error means that nothing was sent. Run is called once.
func (l *Load) Run(ctx, sending context.Context) (*measure.Run, error) {
	layout, err := l.sys.Layout(ctx)
	if err != nil {
		return nil, err
	}
	resume := func(context.Context) error { return nil }
	if l.cfg.Backlog {
		if resume, err = holdBack(ctx, l.sys); err != nil {
			return nil, err
		}
		defer func() { _ = resume(context.WithoutCancel(ctx)) }()
	}
	publisher, err := l.sys.Open(ctx, l.cfg, l.traffic.resolved, l.traffic.received)
	if err != nil {
		return nil, err
	}
	defer l.stop(publisher)
	owners, err := watchOwners(ctx, l.sys)
	if err != nil {
		return nil, err
	}
	defer owners.stop()

	s := l.sender(publisher)
	if err := l.send(ctx, sending, s, layout); err != nil {
		return nil, err
	}
	l.close(ctx, publisher, s)

	var backlog *measure.Backlog
	if l.cfg.Backlog {
		backlog = &measure.Backlog{Events: l.traffic.sent.Load() - l.failed(), Resumed: l.traffic.elapsed()}
		l.view.Say(fmt.Sprintf("a backlog of %d events: the workers go on", backlog.Events))
		if err := resume(ctx); err != nil {
			l.tally.Violate("the workers could not be told to go on: " + err.Error())
		}
	}
	reached := l.settle(ctx, sending, layout)

	l.view.Say("verifying every key")
	v := &verification{sys: l.sys, book: l.book, refuse: l.refuse, timeout: l.cfg.DrainTimeout, reached: reached, tally: &l.tally}
	v.run(ctx)
	l.settleLists(ctx, sending, v)
	l.stop(publisher)
	l.awaitOperator(ctx, sending, v)
	v.close(ctx)
	if ctx.Err() != nil {
		return nil, ErrAborted
	}
	r := l.traffic.finish(layout.Shards)
	if backlog != nil {
		backlog.Drained = r.LastReceipt
		r.Backlog = backlog
	}
	owners.stop()
	r.Owners = owners.after(l.traffic.start)
	r.Interrupted = sending.Err() != nil
	l.judge(r)
	return r, nil
}

// judge enters what the verification found.
func (l *Load) judge(r *measure.Run) {
	r.Applied = l.tally.Applied
	r.Lost, r.Duplicated, r.Reordered = l.tally.Lost, l.tally.Duplicated, l.tally.Reordered
	r.Unproven, r.UnknownKeys, r.Refused = l.tally.Unproven, l.tally.UnknownKeys, l.tally.Refused
	r.Deleted = l.tally.Deleted
	r.Unfinished, r.Short = l.tally.Unfinished, l.short
	r.Dropped, r.Drops = l.tally.Dropped, l.tally.Drops()
	r.SetAside, r.SetAsideKeys, r.Lists = l.tally.SetAside, l.tally.SetAsideKeys, l.tally.Lists()
	r.Parked, r.ParkedKeys, r.Expected = l.tally.Parked, l.tally.ParkedKeys, l.tally.Expected
	r.Violations = l.tally.Violations()
	if failed, err := l.traffic.failure(); failed > 0 {
		l.view.Say(fmt.Sprintf("%d events failed, the first one: %v", failed, err))
	}
}

func (l *Load) failed() uint64 {
	n, _ := l.traffic.failure()
	return n
}

func (l *Load) sender(p Publisher) *sender {
	return &sender{
		publisher: p,
		traffic:   l.traffic,
		book:      l.book,
		clock:     l.clock(),
		receipts:  pace.NewSampler(l.cfg.Receipts),
		keys:      l.keys,
	}
}

func (l *Load) clock() clock {
	c := l.cfg
	if c.Schedule.Max() {
		u := &unpaced{warmUp: c.WarmUp, events: c.share(c.Events), elapsed: l.traffic.elapsed}
		if c.Duration > 0 {
			u.end = c.WarmUp + c.Duration
		}
		return u
	}
	pacer, err := c.pacer()
	if err != nil {
		panic(err) // New has validated it
	}
	p := newPaced(pacer, c.WarmUp, c.Duration, c.share(c.Events))
	p.grace, p.elapsed, p.sleep = c.DeliveryTimeout, l.traffic.elapsed, sleepShort
	return p
}

// send is the load itself. An error means that nothing was sent.
func (l *Load) send(ctx, sending context.Context, s *sender, layout Layout) error {
	start := time.Now()
	if l.startAt.After(start) {
		start = l.startAt
	}
	l.traffic.begin(start, layout)
	defer progress.Follow(l.view, l.look)()
	if !sleep(sending, time.Until(start)) {
		return ErrAborted
	}
	sent, err := s.run(sending)
	l.traffic.run.Overdue, l.traffic.run.Unsent = s.clock.missed(sent)
	switch {
	case ctx.Err() != nil:
		return ErrAborted
	case err != nil && sent == 0:
		return err
	case err != nil:
		l.tally.Violate("sending ended early: " + err.Error())
	case sending.Err() != nil:
		l.view.Say("interrupted: sending no more, verifying what was sent")
	case l.traffic.run.Unsent > 0:
		l.view.Say(fmt.Sprintf("stopped behind the schedule after %d events, %d were never sent: %s is more than is taken here",
			sent, l.traffic.run.Unsent, l.cfg.Schedule))
	}
	return nil
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// look returns the load as it is now.
func (l *Load) look() (progress.Snapshot, bool) {
	s := l.traffic.snapshot()
	s.Events = l.cfg.share(l.cfg.Events)
	if l.cfg.Duration > 0 {
		s.Total = l.cfg.WarmUp + l.cfg.Duration
	}
	return s, s.Elapsed > 0
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

// settle waits until all is applied, and told. What it returns tells whether the
// shard of a key has reached the log's end. When sending ends meanwhile, it waits no longer.
func (l *Load) settle(ctx, sending context.Context, layout Layout) (reached func(key string) bool) {
	waiting, enough := l.waiting(ctx, sending)
	defer enough()
	l.view.Say("waiting until every shard has reached the log's end")
	began := time.Now()
	short, err := drained(waiting, l.sys, l.cfg.DrainTimeout)
	awaitReceipts(waiting, l.traffic, l.receiptGrace)
	if err != nil {
		l.tally.Violate("whether all is applied cannot be told: " + err.Error())
		return func(string) bool { return false }
	}
	if len(short) > 0 {
		l.view.Say(fmt.Sprintf("%d of %d shards have not reached the log's end after %s", len(short), layout.Shards, time.Since(began).Round(time.Second)))
		explain(ctx, l.sys, short)
	}
	l.short = short
	standing := make(map[int]bool)
	for _, s := range short {
		standing[s.Shard] = true
	}
	return func(key string) bool { return len(standing) == 0 || !standing[layout.ShardOf(key)] }
}

// stop is safe to call twice, as the publisher's is.
func (l *Load) stop(p Publisher) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		l.view.Say("publisher: " + err.Error())
	}
}
