package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/verify/chaos/link"
)

const (
	// slowBy is the latency of a slow link in each direction, plus or minus slowJitter.
	slowBy     = 25 * time.Millisecond
	slowJitter = 20 * time.Millisecond
	// A lossy link loses its connections at intervals between these.
	lossyLeast = 100 * time.Millisecond
	lossyMost  = 800 * time.Millisecond

	producerName = "producer"
	arrow        = ">" // as in worker-1>nats
)

// links are the links from the services and the producer to the servers, and between the servers of a cluster, by name, as
// in worker-1>nats.
type links struct {
	seed uint64

	mu   sync.Mutex // guards ways
	ways map[string]*link.Link
}

// via opens a link from a client to a server, and returns its address in the form of the server's.
func (l *links) via(from, to, address string) (string, error) {
	host := strings.TrimPrefix(address, "nats://")
	l.mu.Lock()
	defer l.mu.Unlock()
	way, err := link.New(host, l.seed+uint64(len(l.ways)))
	if err != nil {
		return "", err
	}
	l.ways[from+arrow+to] = way
	return strings.Replace(address, host, way.Addr(), 1), nil
}

// to returns the links that a victim means. There are several to NATS if it is a cluster.
func (l *links) to(victim string) []*link.Link {
	return l.which(func(name string) bool {
		return victim == everyone || name == victim || strings.HasPrefix(name, victim+"-")
	})
}

// peers returns the links, in both directions, between a server of a cluster and the others.
func (l *links) peers(server string) []*link.Link {
	return l.which(func(name string) bool {
		from, to, _ := strings.Cut(name, arrow)
		return team(from) == team(to) && (from == server || to == server)
	})
}

func (l *links) which(is func(name string) bool) (ways []*link.Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, way := range l.ways {
		if is(name) {
			ways = append(ways, way)
		}
	}
	return ways
}

func (l *links) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, way := range l.ways {
		if err := way.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// everyWay lists the links from services to servers: to each, and in a cluster also to all of NATS at once. There are none to a
// replicated Redis: its clients learn addresses from the servers.
func everyWay(s Shape) (names []string) {
	for _, service := range slices.Concat(routers(s), workers(s)) {
		names = append(names, service+arrow+stackfile.RoleNATS)
		if s.NATSServers > 1 {
			names = append(names, prefixed(service+arrow, theNATS(s))...)
		}
	}
	for _, service := range workers(s) {
		if !s.replicated() {
			names = append(names, service+arrow+stackfile.RoleRedis)
		}
		names = append(names, prefixed(service+arrow, locks(s))...)
	}
	return names
}

func prefixed(prefix string, names []string) (with []string) {
	for _, name := range names {
		with = append(with, prefix+name)
	}
	return with
}

func everyWayOrAll(s Shape) []string { return append(everyWay(s), everyone) }

func theProducers(Shape) []string { return []string{producerName + arrow + stackfile.RoleNATS} }

// onLinks is a fault that calls do for each of the victim's links, and undo to mend them.
func (r *run) onLinks(victim, what string, do, undo func(*link.Link)) fault {
	ways := r.links.to(victim)
	each := func(do func(*link.Link)) {
		for _, way := range ways {
			do(way)
		}
	}
	f := fault{
		inject: func(context.Context) (string, error) {
			each(do)
			return fmt.Sprintf("%s %s", victim, what), nil
		},
		recovered: func(ctx context.Context) error { return r.ready(ctx, victim) },
	}
	if undo != nil {
		f.mend = func() error { each(undo); return nil }
	}
	return f
}

func (r *run) slow(victim string) fault {
	what := fmt.Sprintf("slow: %s, plus or minus %s", slowBy, slowJitter)
	return r.onLinks(victim, what, func(l *link.Link) { l.Slow(slowBy, slowJitter) }, func(l *link.Link) { l.Slow(0, 0) })
}

func (r *run) stall(victim string) fault {
	return r.onLinks(victim, "stalled", (*link.Link).Stall, (*link.Link).Resume)
}

func (r *run) down(victim string) fault {
	return r.onLinks(victim, "down", (*link.Link).Down, (*link.Link).Up)
}

func (r *run) cut(victim string) fault { return r.onLinks(victim, "cut", (*link.Link).Cut, nil) }

// lossy cuts links again and again, at times that the seed decides.
func (r *run) lossy(s Step) fault {
	f := r.cut(s.Victim)
	draw := rand.New(rand.NewPCG(r.seed, uint64(s.At)))
	first := f.inject
	f.inject = func(ctx context.Context) (string, error) {
		_, err := first(ctx)
		return s.Victim + " cut again and again", err
	}
	f.during = func(ctx context.Context) {
		for sleep(ctx, lossyLeast+time.Duration(draw.Int64N(int64(lossyMost-lossyLeast)))) {
			_, _ = first(ctx)
		}
	}
	return f
}

// ready waits until the services at a victim's links are ready.
func (r *run) ready(ctx context.Context, victim string) error {
	service, _, _ := strings.Cut(victim, arrow)
	for _, name := range r.services() {
		if name == service || victim == everyone {
			if err := r.stack.AwaitReady(ctx, name, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
