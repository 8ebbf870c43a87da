package sim

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// info is the broker's greeting.
const info = `INFO {"server_id":"SIM","server_name":"sim","version":"2.15.2","proto":1,"host":"127.0.0.1","port":4222,` +
	`"headers":true,"max_payload":1048576,"jetstream":true}` + "\r\n"

// conn is a connection to the broker: a net.Conn for the client, and the broker's side of it.
type conn struct {
	w        *World
	p        *Process
	id       int
	up, down *link

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond
	in       []byte // to the client
	out      []byte // from the client, new
	broken   bool   // in both directions
	closed   bool   // by the client
	deadline time.Time
}

func (w *World) dial(p *Process) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.held() || p.dead || w.Broker.down {
		return nil, errRefused
	}
	c := &conn{w: w, p: p}
	c.changed = sync.NewCond(&c.mu)
	c.up, c.down = &link{p: p}, &link{p: p}
	w.dialled = append(w.dialled, c)
	w.wake()
	return c, nil
}

// Read is net.Conn's.
func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.in) == 0 {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.broken:
			return 0, io.EOF
		case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		c.changed.Wait()
	}
	n := copy(b, c.in)
	c.in = c.in[n:]
	return n, nil
}

// Write is net.Conn's. It never waits.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if c.broken {
		return 0, io.ErrClosedPipe
	}
	if len(c.out) == 0 {
		c.w.mu.Lock()
		c.w.written = append(c.w.written, c)
		c.w.wake()
		c.w.mu.Unlock()
	}
	c.out = append(c.out, b...)
	return len(b), nil
}

// Close is net.Conn's.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.changed.Broadcast()
	c.w.mu.Lock()
	c.w.written = append(c.w.written, c)
	c.w.wake()
	c.w.mu.Unlock()
	return nil
}

// LocalAddr is net.Conn's.
func (c *conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.id} }

// RemoteAddr is net.Conn's.
func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4222} }

// SetDeadline is net.Conn's.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline is net.Conn's. Nothing waits to be written.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline is net.Conn's.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.changed.Broadcast()
		})
	}
	return nil
}

// feed gives the client bytes to read.
func (c *conn) feed(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = append(c.in, b...)
	c.changed.Broadcast()
}

// breakOff breaks the connection: unread bytes are lost.
func (c *conn) breakOff() {
	c.up.cut, c.down.cut = true, true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken, c.in, c.out = true, nil, nil
	c.changed.Broadcast()
}

// op is one operation that a client sends to the broker.
type op struct {
	verb           string
	subject, reply string
	queue          string
	sid            string
	max            int
	header, data   []byte
	sent           time.Time
}

// collect takes the client's new output.
func (c *conn) collect() {
	c.mu.Lock()
	b, closed := c.out, c.closed
	c.out = nil
	c.mu.Unlock()
	ops, rest := parse(b)
	if len(rest) > 0 && !closed {
		panic(fmt.Sprintf("sim: a client wrote a part: %q", rest))
	}
	if len(ops) > 0 {
		what := ops[0].verb
		if i := slices.IndexFunc(ops, func(o op) bool { return o.verb == "PUB" }); i >= 0 {
			what = c.w.Broker.known(ops[i].subject)
		}
		for i := range ops {
			ops[i].sent = time.Now()
		}
		c.up.push(func() {
			for _, o := range ops {
				c.w.Broker.take(c, o)
			}
		})
		c.p.trap(what)
	}
	if closed {
		c.up.push(func() { c.w.Broker.drop(c) })
	}
}

// parse reads the client's protocol. Its results are parts of b.
func parse(b []byte) (ops []op, rest []byte) {
	for len(b) > 0 {
		line, after, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return ops, b
		}
		if bytes.HasPrefix(line, []byte("CONNECT")) || bytes.HasPrefix(line, []byte("PONG")) {
			b = after
			continue
		}
		var f [5]string
		n := 0
		for field := range bytes.FieldsSeq(line) {
			f[n] = string(field)
			n++
		}
		o := op{verb: f[0]}
		hlen, size := 0, -1
		switch o.verb {
		case "PING":
		case "SUB":
			o.subject, o.sid = f[1], f[n-1]
			if n == 4 {
				o.queue = f[2]
			}
		case "UNSUB":
			o.sid = f[1]
			if n == 3 {
				o.max = number(f[2])
			}
		case "PUB", "HPUB":
			sizes := 1
			if o.verb == "HPUB" {
				sizes = 2
				hlen = number(f[n-2])
			}
			o.verb, o.subject, size = "PUB", f[1], number(f[n-1])
			if n == 3+sizes {
				o.reply = f[2]
			}
		default:
			panic(fmt.Sprintf("sim: %q is not simulated", line))
		}
		b = after
		if size >= 0 {
			if len(b) < size+2 {
				return ops, b
			}
			o.header, o.data = b[:hlen:hlen], b[hlen:size:size]
			b = b[size+2:]
		}
		ops = append(ops, o)
	}
	return ops, nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
