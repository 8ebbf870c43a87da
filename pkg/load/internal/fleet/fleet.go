// Package fleet runs one load by several processes of this program and merges
// what they saw: one process is one publisher, and has one processor's worth of
// sending in it.
//
// A part reads JSON from its standard input: its configuration first and, once
// it has said that it is ready, when to start. It writes gob messages to its
// standard output. When its input ends, so does the part: its parent is gone.
package fleet

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
)

// headStart is how far ahead the common start lies when the parts hear of it.
const headStart = 50 * time.Millisecond

// start is when all parts begin.
type start struct {
	At time.Time `json:"at"`
}

// message is what a part tells. One of its fields is set.
type message struct {
	Ready bool
	Said  string
	Shown *progress.Snapshot
	Run   *measure.Run
	Error string
}

// Task is what a part is told first.
type Task struct {
	NATS   string       `json:"nats"`
	Config drive.Config `json:"config"`
}

// Run has each task done by a process of its own, which command starts. begins is
// called once all of them are prepared. When sending ends, the parts send no more
// and go on to verify; when ctx ends, they are killed, and so they are if one of
// them could not run.
func Run(ctx, sending context.Context, tasks []Task, command func() *exec.Cmd, begins func(), view progress.View) (*measure.Run, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f := &fleet{view: view, said: make(map[string]bool)}
	for _, task := range tasks {
		p, err := launch(ctx, command(), task)
		if err != nil {
			fail(err)
			break
		}
		f.parts = append(f.parts, p)
	}
	interrupt := context.AfterFunc(sending, func() {
		for _, p := range f.parts {
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // not SIGINT, which may be ignored; fails only if it has ended
		}
	})
	defer interrupt()

	ready := make(chan struct{}, len(f.parts))
	var listening sync.WaitGroup
	for _, p := range f.parts {
		listening.Go(func() {
			err := f.listen(p, ready)
			if err != nil && p.run == nil && sending.Err() != nil {
				err = drive.ErrAborted // it was not ready to be interrupted
			}
			if err != nil {
				fail(err)
			}
		})
	}
	f.begin(ctx, ready, begins)
	stop := progress.Follow(view, f.look)
	listening.Wait()
	stop()
	return f.merge(ctx)
}

// fleet is the parts of one load.
type fleet struct {
	view  progress.View
	parts []*part

	mu   sync.Mutex // guards what the parts have told
	said map[string]bool
}

// part is a process that does a part of a load.
type part struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *gob.Decoder

	shown progress.Snapshot
	run   *measure.Run
}

// launch starts a part and tells it its task. It is killed when ctx ends.
func launch(ctx context.Context, cmd *exec.Cmd, task Task) (*part, error) {
	// In a group of its own: an interrupt from the terminal comes through us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a producer: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	p := &part{cmd: cmd, in: in, out: gob.NewDecoder(out)}
	_ = json.NewEncoder(in).Encode(task) // if it fails, the part has ended, and tells why
	return p, nil
}

// listen takes what a part tells until it ends. An error says that it did not do
// its part.
func (f *fleet) listen(p *part, ready chan<- struct{}) error {
	var failure error
	for {
		var m message
		if err := p.out.Decode(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				failure = errors.Join(failure, fmt.Errorf("a producer's words: %w", err))
			}
			break
		}
		switch {
		case m.Ready:
			ready <- struct{}{}
		case m.Error != "":
			failure = errors.New(m.Error)
		default:
			f.take(p, m)
		}
	}
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil && failure == nil && p.run == nil {
		failure = fmt.Errorf("a producer ended: %w", err)
	}
	return failure
}

func (f *fleet) take(p *part, m message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case m.Shown != nil:
		p.shown = *m.Shown
	case m.Run != nil:
		p.run = m.Run
	case !f.said[m.Said]: // they all say the same
		f.said[m.Said] = true
		f.view.Say(m.Said)
	}
}

// begin tells the parts when to start, once all are ready.
func (f *fleet) begin(ctx context.Context, ready <-chan struct{}, begins func()) {
	for range f.parts {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
	}
	if ctx.Err() != nil {
		return
	}
	begins()
	at := start{At: time.Now().Add(headStart)}
	for _, p := range f.parts {
		_ = json.NewEncoder(p.in).Encode(at) // if it fails, the part has ended, and tells why
	}
}

// look returns all parts together, while all of them send.
func (f *fleet) look() (sum progress.Snapshot, sending bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sending = true
	for _, p := range f.parts {
		sum.Add(p.shown)
		sending = sending && p.shown.Elapsed > 0 && p.run == nil
	}
	return sum, sending
}

func (f *fleet) merge(ctx context.Context) (*measure.Run, error) {
	if err := context.Cause(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			err = drive.ErrAborted
		}
		return nil, err
	}
	all := measure.New()
	for _, p := range f.parts {
		if p.run == nil {
			return nil, errors.New("a producer ended without a word")
		}
		all.Merge(p.run)
	}
	return all, nil
}
