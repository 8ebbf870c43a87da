// Package publish sends events so that those of one key are applied in the order sent, each once, whatever is sent again,
// lost or late. It gathers events into frames by itself; a frame leaves when it is full, or
// when no other is in flight and it has some events, the last one left two milliseconds ago, or all senders wait again.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/internal/window"
)

// Defaults of Config.
const (
	DefaultMaxEvents       = 32768
	DefaultMaxBytes        = 32 << 20
	DefaultDeliveryTimeout = 30 * time.Second
)

// Event is one event to send. Its data is copied. Encoded it takes at most 512 KiB, else the error is ErrEventTooLarge: Key
// and Data together take at most 524,270 bytes, less 2 for a receipt, less Type's bytes and 4, less name, value and 12 for
// each header.
type Event struct {
	Key     string // 1 to 512 bytes of UTF-8; blanks and line breaks are part of it, at its ends too
	Data    []byte
	Type    string            // optional
	Headers map[string]string // optional
	Receipt bool              // Config.OnReceipt is called once the event has been applied
	Tag     uint64            // opaque, handed back with the result
}

// Config is how a Publisher works. Its zero value has the defaults.
type Config struct {
	App             string        // default appname.Default
	MaxEvents       int           // outstanding; default 32,768
	MaxBytes        int           // outstanding, encoded; default 32 MiB
	DeliveryTimeout time.Duration // from when an event is taken until it is given up; default 30 s, at least 1 s
	Log             *slog.Logger  // default slog.Default()

	// KeepServer keeps the connection on its server. Otherwise the publisher moves the connection to the next of the NATS
	// servers that it knows when for 2 s no router answers over this one, or no router reaches the log.
	KeepServer bool

	// OnResolve is called once for each event when it is resolved, for one key in the order sent, except for events whose own
	// context ends. It must not block: once MaxEvents events wait for it, the publisher is full.
	OnResolve func(*Handle)
	// OnReceipt is called at most once for each event that asked for a receipt. It must not block.
	// A worker that is killed between a commit and its receipts may omit some. Beyond some 4 million outstanding receipts the
	// publisher forgets the oldest.
	OnReceipt func(tag uint64)
}

func (c Config) withDefaults() (Config, error) {
	if c.App == "" {
		c.App = appname.Default
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.MaxEvents == 0 {
		c.MaxEvents = DefaultMaxEvents
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = DefaultDeliveryTimeout
	}
	switch {
	case c.MaxEvents < 1:
		return c, fmt.Errorf("publisher: MaxEvents %d: must be at least 1", c.MaxEvents)
	case c.MaxBytes < 1:
		return c, fmt.Errorf("publisher: MaxBytes %d: must be at least 1", c.MaxBytes)
	case c.DeliveryTimeout < time.Second:
		return c, fmt.Errorf("publisher: DeliveryTimeout %s: must be at least 1s", c.DeliveryTimeout)
	}
	return c, appname.Check(c.App)
}

// Handle is an event on its way.
type Handle struct {
	Tag uint64

	p       *Publisher
	err     error         // set before ended
	done    chan struct{} // made by the first Done
	ended   atomic.Bool
	receipt bool
	unwatch func() bool // stops watching the event's context; nil if it cannot end

	event window.Event // the window's
}

// handle is the Handle that an event of the window is part of.
func handle(e *window.Event) *Handle { return e.Of.(*Handle) }

// Done is closed when the event is resolved.
func (h *Handle) Done() <-chan struct{} {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	if h.done == nil {
		h.done = make(chan struct{})
		if h.ended.Load() {
			close(h.done)
		}
	}
	return h.done
}

// Err returns nil once the event is stored, ErrPending while it has no outcome, else ErrNotStored or ErrUnknown.
func (h *Handle) Err() error {
	if !h.ended.Load() {
		return ErrPending
	}
	return h.err
}

// Seq is the event's number within the publisher, 0 if it never left.
func (h *Handle) Seq() uint64 {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	return h.event.Seq
}

// Wait waits until the event is resolved and returns Err. If ctx ends before that, the error is ErrPending and wraps the
// context's error; the event goes on.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.Done():
		return h.Err()
	case <-ctx.Done():
		if err := h.Err(); !errors.Is(err, ErrPending) {
			return err
		}
		return ended(ErrPending, ctx)
	}
}
