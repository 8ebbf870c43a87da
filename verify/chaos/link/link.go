// Package link is a TCP proxy to a server, on loopback, that can be slow, stalled, down or cut.
//
//   - Data arrives as it was sent, in order. Only connections as such are lost, as with TCP.
//   - Data in flight is bounded, so a receiver that does not read holds the sender up.
package link

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	chunkBytes = 64 << 10
	// maxChunks may be in flight in each direction of a connection.
	maxChunks   = 32
	dialTimeout = 2 * time.Second
)

// Link accepts connections and forwards them to a server.
type Link struct {
	to       string
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	conns   map[*conn]struct{}
	closed  bool
	down    bool
	flowing chan struct{} // closed unless stalled
	latency time.Duration
	jitter  time.Duration
	rand    *rand.Rand
}

// New opens a link to the server at host:port. The seed decides the jitter.
func New(to string, seed uint64) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a link to %s: %w", to, err)
	}
	l := &Link{to: to, listener: listener, conns: map[*conn]struct{}{}, flowing: make(chan struct{}), rand: rand.New(rand.NewPCG(seed, 0))}
	close(l.flowing)
	l.all.Go(l.accept)
	return l, nil
}

// Addr is where clients connect.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Slow delays each piece of data by latency, plus or minus jitter; 0 ends that. Order is kept.
func (l *Link) Slow(latency, jitter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency, l.jitter = latency, jitter
}

// Stall holds the data of both directions back. Connections stay open.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.flowing:
		l.flowing = make(chan struct{})
	default:
	}
}

// Resume ends a Stall.
func (l *Link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.flowing:
	default:
		close(l.flowing)
	}
}

// Cut resets all connections and drops the data in flight. New connections are accepted.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.end(reset)
	}
}

// Down resets all connections, and each new one, until Up.
func (l *Link) Down() {
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	l.Cut()
}

// Up ends a Down.
func (l *Link) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Close cuts and closes the link, and waits for its goroutines.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.listener.Close()
	l.Cut()
	l.all.Wait()
	return err
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.all.Go(func() { l.connect(client) })
	}
}

// connect forwards one connection until either side ends it.
func (l *Link) connect(client net.Conn) {
	server, err := net.DialTimeout("tcp", l.to, dialTimeout)
	if err != nil {
		reset(client)
		return
	}
	c := &conn{link: l, client: client, server: server, ended: make(chan struct{})}
	if !l.enter(c) {
		c.end(reset)
		return
	}
	defer l.leave(c)
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		pieces := make(chan piece, maxChunks)
		ways.Go(func() { c.read(way[0], pieces) })
		ways.Go(func() { c.write(way[1], pieces) })
	}
	ways.Wait()
}

func (l *Link) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.down {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Link) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// due is when data that arrives now is passed on.
func (l *Link) due() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.latency
	if l.jitter > 0 {
		wait += time.Duration(l.rand.Int64N(int64(2*l.jitter))) - l.jitter
	}
	return time.Now().Add(max(wait, 0))
}

// gate is closed while data flows.
func (l *Link) gate() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flowing
}

func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

func finish(c net.Conn) { _ = c.Close() }

// conn is a connection that is forwarded.
type conn struct {
	link           *Link
	client, server net.Conn
	once           sync.Once
	ended          chan struct{}
}

// end ends both sides, each in the way given.
func (c *conn) end(how func(net.Conn)) {
	c.once.Do(func() {
		close(c.ended)
		how(c.client)
		how(c.server)
	})
}

// piece is data in flight.
type piece struct {
	data []byte
	due  time.Time
}

func (c *conn) read(from io.Reader, pieces chan<- piece) {
	defer close(pieces) // the pieces in flight are still passed on
	buf := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case pieces <- piece{data: append([]byte(nil), buf[:n]...), due: c.link.due()}:
		case <-c.ended:
			return
		}
	}
}

func (c *conn) write(to io.Writer, pieces <-chan piece) {
	defer c.end(finish)
	for p := range pieces {
		if !c.await(p.due) {
			return
		}
		if _, err := to.Write(p.data); err != nil {
			return
		}
	}
}

// await returns when data may be passed on, or false when the connection has ended.
func (c *conn) await(due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ended:
			return false
		}
	}
	select {
	case <-c.link.gate():
		return true
	case <-c.ended:
		return false
	}
}
