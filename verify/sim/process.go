package sim

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// Process is a process of the world: it has a connection to the broker, and makes calls.
type Process struct {
	Name string

	w       *World
	conn    *conn // nil while it has none
	paused  bool
	stalled bool
	trapped bool // paused by a trap, for its time
	dead    bool
	waiting []func() // calls to continue when it resumes
	up      time.Time
	trouble time.Time // end of its last pause, stall or cut
	wait    time.Duration
}

// NewProcess makes a process that is not connected yet.
func (w *World) NewProcess(name string) *Process {
	more := 100 * time.Millisecond
	if w.Rand.IntN(4) == 0 {
		more = 2 * time.Second
	}
	return &Process{Name: name, w: w, trouble: time.Now(), wait: 100*time.Millisecond + time.Duration(w.Rand.Int64N(int64(more)))}
}

// errRefused is the error of a dial that fails.
var errRefused = errors.New("connection refused")

// Connect connects to the broker as a service does. Before it reconnects it waits for a time of its own, drawn once.
func (p *Process) Connect() (*nats.Conn, error) {
	return nats.Connect("nats://127.0.0.1:4222",
		nats.SetCustomDialer(p), nats.Name(p.Name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(func(int) time.Duration { return p.wait }),
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	)
}

// Dial is nats.CustomDialer's.
func (p *Process) Dial(string, string) (net.Conn, error) { return p.w.dial(p) }

func (p *Process) held() bool { return p.paused || p.stalled }

// Untroubled returns for how long the process has been alive and reachable, apart from faults of the broker.
func (p *Process) Untroubled() time.Duration {
	if p.held() || p.dead {
		return 0
	}
	return time.Since(p.trouble)
}

// Up returns for how long its connection has been up.
func (p *Process) Up() time.Duration {
	if p.conn == nil {
		return 0
	}
	return time.Since(p.up)
}

// Dead tells whether it was killed.
func (p *Process) Dead() bool { return p.dead }

// Pause holds the process: all its messages and calls.
func (p *Process) Pause() {
	p.w.Say("%s pauses", p.Name)
	p.w.Note("paused")
	p.w.change(func() { p.paused = true })
}

// Resume ends a pause.
func (p *Process) Resume() {
	p.w.Say("%s resumes", p.Name)
	p.trouble = time.Now()
	p.w.change(func() { p.paused = false })
	waiting := p.waiting
	p.waiting = nil
	for _, fn := range waiting {
		p.w.After(p.w.latency(), fn)
	}
	p.flow()
}

// trap asks the world's Trap whether to pause the process before its latest message leaves.
func (p *Process) trap(what string) {
	if p.w.Trap == nil || p.held() || p.dead {
		return
	}
	if d := p.w.Trap(p, what); d > 0 {
		p.w.Say("%s is held at: %s", p.Name, what)
		p.w.Note("held")
		p.Pause()
		p.trapped = true
		p.w.After(d, func() {
			p.trapped = false
			if p.paused && !p.dead {
				p.Resume()
			}
		})
	}
}

// Stall holds the process's connection to the broker.
func (p *Process) Stall() {
	p.w.Say("%s's connection stalls", p.Name)
	p.w.Note("stalled")
	p.w.change(func() { p.stalled = true })
}

// Flow ends a stall.
func (p *Process) Flow() {
	p.w.Say("%s's connection flows", p.Name)
	p.trouble = time.Now()
	p.w.change(func() { p.stalled = false })
	p.flow()
}

func (p *Process) flow() {
	for _, c := range p.w.Broker.conns {
		if c.p == p {
			c.up.arm()
			c.down.arm()
		}
	}
}

// Cut breaks the process's connection. Messages in flight are lost.
func (p *Process) Cut() {
	p.w.Say("%s's connection breaks", p.Name)
	p.w.Note("cut")
	p.trouble = time.Now()
	p.w.Broker.breakOff(p)
}

// Kill ends the process, as far as others can see: nothing that it does from now on has an effect. The caller stops its
// goroutines, which find no connection and no server.
func (p *Process) Kill() {
	p.w.Say("%s dies", p.Name)
	p.w.Note("killed")
	p.w.change(func() { p.dead = true })
	p.w.Broker.breakOff(p)
	waiting := p.waiting
	p.waiting = nil
	for _, fn := range waiting {
		fn()
	}
}

// call is a request of a process to a lock server or a store.
type call struct {
	p      *Process
	s      *Server
	what   string
	effect func()
	err    error
	done   chan struct{}
}

// Server answers calls: a lock server or a store.
type Server struct {
	w    *World
	Name string
	down bool
}

// NewServer makes a server that is up.
func (w *World) NewServer(name string) *Server { return &Server{w: w, Name: name} }

var (
	errDead = errors.New("the process is dead")
	errDown = errors.New("the server is down")
	errLost = errors.New("the connection broke before the answer came")
)

// Down makes calls fail until Serve.
func (s *Server) Down() {
	s.w.Say("%s is down", s.Name)
	s.w.Note("server down")
	s.down = true
}

// Serve makes calls succeed again.
func (s *Server) Serve() {
	s.w.Say("%s serves", s.Name)
	s.down = false
}

// Call runs effect at the server some time later, and returns some time after that. After an error the effect may have
// happened.
func (p *Process) Call(ctx context.Context, s *Server, what string, effect func()) error {
	c := &call{p: p, s: s, what: what, effect: effect, done: make(chan struct{})}
	p.w.mu.Lock()
	p.w.calls = append(p.w.calls, c)
	p.w.wake()
	p.w.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin runs at the process: Trap may pause it before the call leaves.
func (c *call) begin() {
	c.p.trap(c.what)
	c.leave()
}

func (c *call) leave() {
	switch {
	case c.p.dead:
		c.err = errDead
		close(c.done)
	case c.p.paused:
		c.p.w.Say("%s, paused, would: %s", c.p.Name, c.what)
		c.p.waiting = append(c.p.waiting, c.leave)
	default:
		c.p.w.After(c.p.w.latency(), c.arrive)
	}
}

func (c *call) arrive() {
	switch {
	case c.p.dead: // the call left before the process died
		c.effect()
	case c.s.down:
		c.err = errDown
	default:
		c.p.w.Say("%s: %s %s", c.s.Name, c.p.Name, c.what)
		c.effect()
	}
	c.p.w.After(c.p.w.latency(), c.end)
}

// end runs at the process again, which may be paused before it sees the answer.
func (c *call) end() {
	if c.p.paused && !c.p.dead {
		c.p.waiting = append(c.p.waiting, c.end)
		return
	}
	if c.p.dead && c.err == nil {
		c.err = errDead
	}
	if c.err == nil && (c.s.down || c.p.w.Lose != nil && c.p.w.Lose()) {
		c.err = errLost
	}
	close(c.done)
}
