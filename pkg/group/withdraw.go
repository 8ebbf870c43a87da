package group

import (
	"context"
	"time"
)

// Withdraw takes this member, once it has started, out of the group until Return: its owners' contexts end with cause, its leases
// are released, and its entry is removed, so that other members take its shards. It does not wait for that.
func (g *Group) Withdraw(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.withdrawn() {
		return
	}
	g.withdraw(cause)
	g.assign()
	g.settle()
}

// Return joins the group again.
func (g *Group) Return() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.withdrawn() {
		return
	}
	g.present, g.withdraw = context.WithCancelCause(context.Background())
	g.assign()
	g.settle()
}

// Withdrawn tells whether this member has withdrawn and not returned.
func (g *Group) Withdrawn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.withdrawn()
}

// withdrawn tells whether this member has withdrawn. The caller holds mu.
func (g *Group) withdrawn() bool { return g.present.Err() != nil }

// settle writes this member's entry, or removes it if the member has withdrawn. The caller holds mu.
func (g *Group) settle() {
	if g.leaving {
		return
	}
	g.settles.Add(1)
	go g.settleEntry()
}

// settleEntry repeats what settle does until it is stored. A write that is stored too late, after the member has turned, is
// delivered by the members watch, and settled then.
func (g *Group) settleEntry() {
	defer g.settles.Done()
	for g.staying.Err() == nil {
		ctx, cancel := context.WithTimeout(g.staying, time.Second)
		err := g.writeEntry(ctx)
		cancel()
		if err == nil {
			return
		}
		select { // without a connection it fails at once
		case <-time.After(retryMin):
		case <-g.staying.Done():
		}
	}
}

func (g *Group) writeEntry(ctx context.Context) error {
	if g.Withdrawn() {
		return g.members.Purge(ctx, g.id)
	}
	_, err := g.members.Put(ctx, g.id, g.self)
	return err
}
