package topology

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Times of a Follower. A router's permit is renewed through one every 0.5 s and lasts for 2 s (package permit), so a consumer
// that is gone must be noticed and replaced within 1.5 s.
const (
	followBeat    = 500 * time.Millisecond  // between an idle consumer's heartbeats
	followSilence = 1200 * time.Millisecond // without a message or heartbeat: the consumer is gone
	followLate    = 750 * time.Millisecond  // for an entry that this process has stored to be delivered
	followRetry   = 100 * time.Millisecond
	followRead    = 300 * time.Millisecond // for reading the changes one by one
	followFirst   = 5 * time.Second        // for making the first consumer
	followAgain   = time.Second            // for making a further one: the server that was asked may die with the request
)

// Follower delivers a KV bucket's entries as they change.
type Follower struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	bucket string
	keys   string // of the entries to deliver; ">": all
	log    *slog.Logger
	begin  func()
	take   func(jetstream.KeyValueEntry)
	status chan nats.Status
	late   chan uint64 // cap 1: a revision that must have been delivered by now
	ready  chan struct{}

	run    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// Follow calls begin, take with every entry of a bucket as it is now, take with nil, and then take with every change, in
// order. It repeats all of this after each reconnect, when its consumer is gone or silent, when an entry was missed, and when
// an entry that this process has stored is not delivered: it cannot know what it missed, and the bucket may have lost entries
// without a trace. It returns after the first nil, so every Follower has seen all entries. After Stop has returned neither
// function is called.
func Follow(
	ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, log *slog.Logger, begin func(), take func(jetstream.KeyValueEntry),
) (*Follower, error) {
	return follow(ctx, nc, kv, ">", log, begin, take)
}

// follow is Follow for some keys of the bucket.
func follow(
	ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, keys string, log *slog.Logger, begin func(), take func(jetstream.KeyValueEntry),
) (*Follower, error) {
	failed := func(err error) error {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("watch bucket %s: %w", kv.Bucket(), err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, failed(err)
	}
	f := &Follower{
		nc: nc, js: js, bucket: kv.Bucket(), keys: keys, log: log, begin: begin, take: take, status: nc.StatusChanged(nats.CONNECTED),
		late: make(chan uint64, 1), ready: make(chan struct{}), done: make(chan struct{}),
	}
	f.run, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	first, cancel := context.WithTimeout(ctx, followFirst)
	defer cancel()
	c, err := openEntries(first, nc, js, f.bucket, f.keys)
	if err != nil {
		f.cancel()
		nc.RemoveStatusListener(f.status)
		return nil, failed(err)
	}
	go f.loop(c)
	select {
	case <-f.ready:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		f.Stop()
		return nil, failed(nil)
	}
	return f, nil
}

// Stop ends the calls and returns when they have ended. There is nothing to finish, so it takes no context.
func (f *Follower) Stop() {
	f.cancel()
	<-f.done
}

// Expect says that this process has stored an entry of the bucket, under a revision. If the entry is not delivered soon, the
// consumer is defective, and the Follower replaces it.
func (f *Follower) Expect(revision uint64) {
	time.AfterFunc(followLate, func() {
		select {
		case f.late <- revision:
		default: // another revision is being checked
		}
	})
}

func (f *Follower) loop(c *entries) {
	defer close(f.done)
	defer f.nc.RemoveStatusListener(f.status)
	for c != nil {
		f.begin()
		err := f.deliver(c)
		c.end()
		c = f.reopen(c, err)
	}
}

// deliver hands entries on until Stop, or until all must be read again. It returns the cause, nil for Stop or a reconnect.
func (f *Follower) deliver(c *entries) error {
	silent := time.NewTimer(followSilence)
	defer silent.Stop()
	if c.first == 0 {
		c.sync(f.pass)
	}
	for {
		select {
		case <-f.run.Done():
			return nil
		case <-f.status:
			return nil
		case r := <-f.late:
			if c.synced && c.revision < r {
				return fmt.Errorf("revision %d, which this process has stored, was not delivered within %s", r, followLate)
			}
		case <-silent.C:
			return fmt.Errorf("no entry and no heartbeat for %s: its consumer is gone", followSilence)
		case m := <-c.messages:
			if err := c.take(m, f.pass); err != nil {
				return err
			}
			silent.Reset(followSilence)
		}
	}
}

func (f *Follower) pass(e jetstream.KeyValueEntry) {
	f.take(e)
	if e == nil {
		select {
		case <-f.ready:
		default:
			close(f.ready)
		}
	}
}

// reopen asks for another consumer until there is one, and returns nil after Stop. cause is why the last one was given up. In a
// cluster there may be none for some seconds, until the servers have a leader; reopen reads changes one by one meanwhile.
func (f *Follower) reopen(last *entries, cause error) *entries {
	broken, told := time.Now(), false
	warn := func(msg string, err error) {
		if !told && f.nc.IsConnected() && f.run.Err() == nil { // the connection's own handler logs that it is lost
			told = true
			f.log.Warn(msg, "bucket", f.bucket, "error", err)
		}
	}
	if cause != nil {
		warn("bucket watch broke; reopening it", cause)
	}
	for f.run.Err() == nil {
		if f.nc.IsConnected() {
			f.forget()
			if told {
				f.catchUp(last)
			}
			c, err := f.openAgain()
			if err == nil {
				if told {
					f.log.Info("bucket watch restored", "bucket", f.bucket, "after", time.Since(broken).Round(time.Millisecond))
				}
				return c
			}
			warn("bucket cannot be watched; retrying", err)
		}
		select {
		case <-time.After(followRetry):
		case <-f.run.Done():
		}
	}
	return nil
}

// forget drops signals about the last consumer: the next one begins with all entries.
func (f *Follower) forget() {
	for {
		select {
		case <-f.status:
		case <-f.late:
		default:
			return
		}
	}
}

// catchUp hands on the changes after the last entry, read from the bucket's leader.
func (f *Follower) catchUp(last *entries) {
	if !last.synced {
		return
	}
	ctx, cancel := context.WithTimeout(f.run, followRead)
	defer cancel()
	for {
		m, err := get{Seq: last.revision + 1, Next: entryPrefix(f.bucket) + f.keys}.ask(ctx, f.nc, bucketStream(f.bucket))
		if err != nil {
			return // there is no more, or no answer
		}
		last.revision = m.Sequence
		f.take(entryOf(f.bucket, m))
	}
}

func (f *Follower) openAgain() (*entries, error) {
	ctx, cancel := context.WithTimeout(f.run, followAgain)
	defer cancel()
	return openEntries(ctx, f.nc, f.js, f.bucket, f.keys)
}
