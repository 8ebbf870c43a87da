package testkit

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// linkBuffer bounds, nearly, the bytes in the link and in each kernel buffer on the way, so that writers soon feel a stall.
// (With much less than is written at once TCP waits for its timers, and 16 KiB already makes 40 ms of every pipeline.)
const linkBuffer = 64 << 10

// Link is a TCP connection between a service and a server, on the loopback interface, that can be stalled and cut.
type Link struct {
	// Addr is host:port, for clients.
	Addr string

	to       string
	listener net.Listener
	done     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	flowing chan struct{}
	stalled bool
	conns   map[net.Conn]func() // to the functions that end them
	closed  bool
}

// NewLink makes a link to the server at host:port.
func NewLink(t testing.TB, to string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Link{Addr: listener.Addr().String(), to: to, listener: listener, flowing: make(chan struct{}), conns: make(map[net.Conn]func())}
	close(l.flowing)
	l.done.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Stall stops the bytes both ways. Connections stay open, and new ones are taken, but nothing comes through.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stalled {
		l.stalled, l.flowing = true, make(chan struct{})
	}
}

// Resume lets the bytes flow again; none is lost.
func (l *Link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled {
		l.stalled = false
		close(l.flowing)
	}
}

// Cut ends all connections and drops the bytes under way in them. New ones come through, unless the link is stalled.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.conns {
		end()
	}
}

func (l *Link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.listener.Close()
	l.Cut()
	l.done.Wait()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.done.Go(func() { l.connect(client) })
	}
}

// connect carries one connection until either side ends it.
func (l *Link) connect(client net.Conn) {
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = client.Close()
		return
	}
	ended := make(chan struct{})
	end := sync.OnceFunc(func() {
		close(ended)
		_ = client.Close()
		_ = server.Close()
	})
	defer end()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.conns[client] = end
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, client)
	}()
	for _, c := range []net.Conn{client, server} {
		_ = c.(*net.TCPConn).SetReadBuffer(linkBuffer)
		_ = c.(*net.TCPConn).SetWriteBuffer(linkBuffer)
	}
	var both sync.WaitGroup
	both.Go(func() { defer end(); l.carry(server, client, ended) })
	both.Go(func() { defer end(); l.carry(client, server, ended) })
	both.Wait()
}

// carry copies bytes while they may flow.
func (l *Link) carry(to io.Writer, from io.Reader, ended <-chan struct{}) {
	buf := make([]byte, linkBuffer)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		flowing := l.flowing
		l.mu.Unlock()
		select {
		case <-flowing:
		case <-ended:
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
