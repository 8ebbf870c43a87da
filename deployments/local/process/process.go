package process

import (
	"bytes"
	"example.com/lockstep/pkg/appname"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Spec says what to run.
type Spec struct {
	Name string // of this instance, as in worker-2
	Path string // of the program
	Args []string
	// Env is added to the environment, as NAME=value. What holds a password goes here: other users may read Args.
	Env []string
	Log string // file that stdout and stderr are appended to
	// Out gets a copy of stdout and stderr; nil for no copy.
	Out io.Writer
}

// Process is a process that was started.
type Process struct {
	spec     Spec
	cmd      *exec.Cmd
	logStart int64 // size of the log file before this process wrote to it
	ended    chan struct{}

	mu   sync.Mutex // guards sent
	sent []syscall.Signal
}

// Start starts a process. Its environment is ours, without our own settings (appname.EnvPrefix), and Spec.Env.
func (s *Starter) Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	info, err := log.Stat()
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	if spec.Out != nil {
		both := io.MultiWriter(log, spec.Out)
		cmd.Stdout, cmd.Stderr = both, both // equal, so written to by one goroutine at a time
	}
	cmd.Env = append(environment(os.Environ()), spec.Env...)
	cmd.SysProcAttr = attributes()
	if err := s.start(cmd); err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, logStart: info.Size(), ended: make(chan struct{})}
	go func() {
		cmd.Wait() // cmd.ProcessState keeps the outcome
		log.Close()
		close(p.ended)
	}()
	return p, nil
}

func environment(env []string) []string {
	var kept []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, appname.EnvPrefix+"_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// Name returns the name from the Spec.
func (p *Process) Name() string { return p.spec.Name }

// PID returns the process id, which is also the id of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode returns the exit code of a process that has ended, -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// Signal signals the process group. It returns false if the process has ended.
func (p *Process) Signal(sig syscall.Signal) (sent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended: // its id may belong to another process by now
		return false
	default:
	}
	if syscall.Kill(-p.PID(), sig) != nil {
		return false
	}
	p.sent = append(p.sent, sig)
	return true
}

// panicked is the exit code of a Go program that panics.
const panicked = 2

// ByItself waits for the end of a process and tells whether it was unasked for: Signal had not told the process to end, or
// it ended in another way than told.
func (p *Process) ByItself() bool {
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return !slices.Contains(p.sent, status.Signal())
	}
	return p.ExitCode() == panicked || !slices.Contains(p.sent, syscall.SIGTERM)
}

// endedAsTold tells whether a process that has ended did so in order, after SIGTERM.
func (p *Process) endedAsTold() bool { return p.ExitCode() == 0 && !p.ByItself() }

// Logged tells whether the process has logged the text.
func (p *Process) Logged(text string) bool {
	log, err := os.Open(p.spec.Log)
	if err != nil {
		return false
	}
	defer log.Close()
	all, err := io.ReadAll(io.NewSectionReader(log, p.logStart, 1<<62))
	return err == nil && bytes.Contains(all, []byte(text))
}

// Outcome says how a process ended, with the last line it logged.
func (p *Process) Outcome() string {
	<-p.ended
	outcome := p.cmd.ProcessState.String()
	if line := p.lastLine(); line != "" {
		outcome += ", last line: " + line
	}
	return outcome
}

const (
	tailBytes = 8 << 10
	maxLine   = 400
)

func (p *Process) lastLine() string {
	log, err := os.Open(p.spec.Log)
	if err != nil {
		return ""
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	from := max(p.logStart, info.Size()-tailBytes)
	tail, err := io.ReadAll(io.NewSectionReader(log, from, tailBytes))
	if err != nil {
		return ""
	}
	tail = bytes.TrimSpace(tail)
	line := strings.TrimSpace(string(tail[bytes.LastIndexByte(tail, '\n')+1:]))
	if len(line) > maxLine {
		line = line[:maxLine] + "..."
	}
	return line
}
