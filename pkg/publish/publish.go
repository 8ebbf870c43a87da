// Package publish sends events so that those of one key are applied in the order sent, each once, whatever is sent again,
// lost or late. It gathers events into frames by itself; a frame leaves as soon as the pipe is free or the frame is full.
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

// Event is one event to send. What it points to is copied. Encoded it has at most 512 KiB: Key and Data together have at most
// 524,270 bytes, less 2 for a receipt, what Type has and 4, and what each header's name and value have and 12. More is
// ErrEventTooLarge.
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
	App             string        // default "lockstep"
	MaxEvents       int           // outstanding; default 32,768
	MaxBytes        int           // outstanding, encoded; default 32 MiB
	DeliveryTimeout time.Duration // from when an event is taken until it is given up; default 30 s, at least 1 s
	Log             *slog.Logger  // default slog.Default()

	// KeepServer leaves the connection where it is. Else, if several servers of NATS are known to it and over the one that it
	// leads to no router can be reached, or no router reaches the log, for 2 s, it is closed and opened to the next one.
	KeepServer bool

	// OnResolve is called once for each event when it is resolved, for one key in the order sent, save for events whose own
	// context ends. It must not block: while it does, no more than MaxEvents events wait for it, and then the publisher is full.
	OnResolve func(*Handle)
	// OnReceipt is called at most once for each event that asked for a receipt. It must not block.
	// A worker killed between a commit and its receipts may leave some out, and beyond some 4 million outstanding the oldest
	// are forgotten.
	OnReceipt func(tag uint64)
}

func (c Config) withDefaults() (Config, error) {
	if c.App == "" {
		c.App = "lockstep"
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
	done    chan struct{} // made when somebody waits
	ended   atomic.Bool
	receipt bool
	unwatch func() bool // ends the watch over the event's context; nil if there is none

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

// Err is nil once the event is stored, and ErrPending while it has no outcome. Else it is ErrNotStored or ErrUnknown.
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

// Wait waits until the event is resolved and returns its error. If ctx ends before, that is ErrPending with the context's
// error, and nothing has changed for the event.
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
