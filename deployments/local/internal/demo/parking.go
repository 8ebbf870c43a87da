package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/appname"
)

// ParkingConfig says what the demonstration of parked keys runs.
type ParkingConfig struct {
	Config         // without Break and Owned
	Poison float64 // share of the keys that get an event which the handler refuses
}

// waitParked is how long the load waits for the keys to be retried.
const waitParked = 2 * time.Minute

// saysParked is what the producer says when it has verified all but the parked keys, and waits for an operator.
const saysParked = "waiting for an operator"

// RunParking shows what an event that cannot be applied does: it parks its key, all other keys go on; and when the handler is
// mended, a retry applies it and all that waited behind it. It stops and cleans up as Run does.
func RunParking(soft, hard context.Context, cfg ParkingConfig) error {
	app, err := cfg.check()
	if err != nil {
		return err
	}
	p := &parking{demo: &demo{cfg: cfg.Config, app: app}, poison: cfg.Poison}
	return p.inDirectory(soft, func() error { return p.run(soft, hard, p.play) })
}

// parking is a demo of parked keys.
type parking struct {
	*demo
	poison float64
}

// play has the producer send, and acts as the operator.
func (p *parking) play(soft, hard context.Context, s *stack.Stack) error {
	starter := process.NewStarter()
	defer starter.Close()
	spec := p.producer()
	spec.Args = append(spec.Args, "--poison="+strconv.FormatFloat(p.poison, 'g', -1, 64), "--wait-parked="+waitParked.String())
	producer, err := starter.Start(spec)
	if err != nil {
		return err
	}
	p.say("the workers refuse overdrafts: an event that takes more than its account holds fails")
	p.say("sending for %s: rate %s, %s; %.4g%% of them get such an event", p.cfg.Duration, p.cfg.Rate, count(p.cfg.Keys, "key"), 100*p.poison)
	err = p.operate(soft, s, producer)
	if err == nil {
		select {
		case <-producer.Ended():
			return p.reported(producer)
		case <-soft.Done():
			err = context.Cause(soft)
		}
	}
	stopProducer(hard, producer)
	return err
}

// operate does what an operator would.
func (p *parking) operate(ctx context.Context, s *stack.Stack, producer *process.Process) error {
	said, err := p.awaitParked(ctx, producer)
	if err != nil {
		return err
	}
	p.say("all other keys went on: every event of theirs is applied. The load says:\n  %s", said)
	if err := p.worker(ctx, s, "list"); err != nil {
		return err
	}
	p.say("\nthe handler is mended: the workers start again with --overdraft=allow")
	for i := range p.cfg.Stack.Workers {
		if err := s.Restart(ctx, stack.ServiceName("worker", i), "--overdraft=allow"); err != nil {
			return err
		}
	}
	if err := p.worker(ctx, s, "retry", "--all"); err != nil {
		return err
	}
	p.say("the load now verifies the keys that were parked")
	return nil
}

// logPoll is how often the producer's log is read.
const logPoll = 50 * time.Millisecond

// awaitParked waits until the producer waits for an operator, and returns its line about that.
func (p *parking) awaitParked(ctx context.Context, producer *process.Process) (line string, err error) {
	for {
		ended := false
		select {
		case <-producer.Ended():
			ended = true // what it has said is read once more
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(logPoll):
		}
		text, err := os.ReadFile(p.producer().Log)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, saysParked) {
				return strings.TrimSpace(line), nil
			}
		}
		if ended {
			return "", errors.Join(errors.New("the load ended with no key parked"), p.reported(producer))
		}
	}
}

// maxLines is how many lines of a command's output are shown.
const maxLines = 8

// worker runs `worker parked` as an operator would, and shows it.
func (p *parking) worker(ctx context.Context, s *stack.Stack, args ...string) error {
	p.say("\n$ %s parked %s", p.app.Worker, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, filepath.Join(p.cfg.Stack.Bin, p.app.Worker), append([]string{"parked"}, args...)...)
	f := s.File()
	cmd.Env = append(os.Environ(), appname.EnvPrefix+"_NATS="+f.NATS, appname.EnvPrefix+"_APP="+f.App)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal comes through ctx
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("worker parked %s: %w: %s", args[0], err, strings.TrimSpace(errOut.String()))
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	for i, line := range lines {
		if i == maxLines {
			p.say("... and %d lines more", len(lines)-i)
			break
		}
		p.say("%s", line)
	}
	return nil
}
