package publish

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/window"
)

// Send sends an event and waits until it is durably stored (nil), or given up. If ctx ends before the event has left, the
// event is withdrawn: ErrNotStored. If ctx ends later the outcome is not known: ErrUnknown. Both wrap the context's error.
// An event has not left while there is no connection or no router that could take it.
func (p *Publisher) Send(ctx context.Context, key string, data []byte) error {
	return p.SendEvent(ctx, Event{Key: key, Data: data})
}

// SendEvent is Send with all fields of an event.
func (p *Publisher) SendEvent(ctx context.Context, ev Event) error {
	h, draft, err := p.prepare(ev)
	if err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return ended(ErrNotSent, ctx)
		}
		err := p.take(context.Background(), h, ev.Key, draft) // this call watches ctx itself
		if err == nil {
			break
		}
		if !errors.Is(err, ErrFull) {
			return err
		}
		if err := p.waitRoom(ctx, draft.Size()); err != nil && ctx.Err() == nil {
			return err
		}
	}
	select {
	case <-h.Done():
	case <-ctx.Done():
		p.contextEnded(ctx, h)
	}
	return h.Err()
}

// SendAsync sends an event. It never blocks: if there is no room it returns ErrFull, and WaitRoom waits for some.
func (p *Publisher) SendAsync(key string, data []byte) (*Handle, error) {
	return p.Publish(context.Background(), Event{Key: key, Data: data})
}

// Publish is SendAsync with all fields of an event. If ctx ends before the event is resolved, that resolves it as for Send:
// an event that has not left is withdrawn, and the outcome of one that has left is unknown. A context that can end costs a
// callback for each event; context.Background costs nothing.
func (p *Publisher) Publish(ctx context.Context, ev Event) (*Handle, error) {
	h, draft, err := p.prepare(ev)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ErrNotSent, ctx)
	}
	if err := p.take(ctx, h, ev.Key, draft); err != nil {
		return nil, err
	}
	return h, nil
}

// prepare encodes an event.
func (p *Publisher) prepare(ev Event) (*Handle, frame.Draft, error) {
	draft, err := frame.NewDraft(ev.Key, ev.Data, ev.Type, ev.Headers, ev.Receipt)
	if err != nil {
		return nil, nil, badEvent(err)
	}
	h := &Handle{Tag: ev.Tag, p: p, receipt: ev.Receipt, event: window.Event{Draft: draft}}
	h.event.Of = h
	return h, draft, nil
}

// take gives an event to the window, if there is room, and watches its context, if it can end.
func (p *Publisher) take(ctx context.Context, h *Handle, key string, draft frame.Draft) error {
	p.mu.Lock()
	if err := p.takesNone(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.full(draft.Size()) {
		p.mu.Unlock()
		return ErrFull
	}
	now := time.Now()
	p.w.Add(&h.event, key, now)
	if ctx.Done() != nil {
		h.unwatch = context.AfterFunc(ctx, func() { p.contextEnded(ctx, h) })
	}
	leave := p.mustWake(now)
	p.mu.Unlock()
	if leave {
		p.wake()
	}
	return nil
}

// takesNone returns why the publisher takes no event, or nil.
func (p *Publisher) takesNone() error {
	switch {
	case p.closed:
		return ErrClosed
	case !p.started:
		return ErrNotStarted
	case p.lost:
		return ErrDisconnected
	}
	return nil
}

// contextEnded resolves an event whose context has ended, unless it is resolved.
func (p *Publisher) contextEnded(ctx context.Context, h *Handle) {
	p.mu.Lock()
	if !h.ended.Load() {
		of := p.w.FrameOf(&h.event)
		if p.w.Withdraw(&h.event) {
			p.end(h, ended(ErrNotSent, ctx))
			p.forget(h, of)
		} else {
			p.end(h, ended(ErrUnknown, ctx)) // its frame goes on
		}
		p.signal()
	}
	leave := p.mustWake(time.Now())
	p.mu.Unlock()
	if leave {
		p.wake()
	}
	p.report()
}

// forget drops the records of an event that was withdrawn, and of its frame, if that is empty now.
func (p *Publisher) forget(h *Handle, of *window.Frame) {
	if of != nil && h.receipt {
		p.asked.drop(h.event.Seq)
	}
	if of != nil && len(of.Events) == 0 {
		p.routers.drop(of.ID)
	}
	h.event.Draft, h.event.Seq = nil, 0
}
