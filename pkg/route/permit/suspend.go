package permit

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/topology"
)

// Suspend ends the permit until Resume, and removes its entry. reason is why the topology cannot be read: the permit may not be
// renewed, for a renewal says that this router has read every topology before it.
func (p *Permit) Suspend(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread == nil || p.unread.Error() != reason.Error() {
		p.log.Error("router has let its permit go and acknowledges nothing until the topology can be read", "error", reason)
	}
	p.unread, p.term.until = reason, Instant{}
	clear(p.sent) // renewals in flight do not count any more
	p.turn()
}

// Resume takes the permit anew, in another term.
func (p *Permit) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread == nil {
		return
	}
	p.log.Info("the topology can be read again: router takes a permit anew")
	p.unread = nil
	p.turn()
}

// turn wakes renew. The caller holds mu.
func (p *Permit) turn() {
	select {
	case p.turned <- struct{}{}:
	default:
	}
}

func (p *Permit) suspended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unread != nil
}

// remove removes the permit's entry.
func (p *Permit) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, giveUpTime)
	defer cancel()
	if err := p.kv.Purge(ctx, topology.PermitKey(p.id)); err != nil {
		return fmt.Errorf("give a router's permit up: %w", err)
	}
	return nil
}
