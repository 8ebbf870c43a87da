package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/stackfile"
)

// probePatience is how long the first event may take before the stack tells the user that it waits.
const probePatience = 3 * time.Second

func (s *Stack) probe(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sent := make(chan error, 1)
	go func() { sent <- s.probeAll(ctx) }()
	logs := s.dir.Path(stackdir.LogsDir)
	late := time.NewTimer(s.probePatience)
	defer late.Stop()
	for {
		select {
		case <-late.C:
			s.say("still waiting for %s; the logs are in %s", awaited(logs), logs)
		case err := <-sent:
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil:
				return fmt.Errorf("%w; the stack waited for %s", context.Cause(ctx), awaited(logs))
			}
			return fmt.Errorf("the first event was not applied: %w; the stack waited for %s; see the logs in %s", err, awaited(logs), logs)
		case err := <-s.failed:
			cancel(err)
			<-sent //nolint:errcheck // it follows from the failure
			return err
		}
	}
}

// probeAll sends an event of each app and returns once all are applied, or with the first error.
func (s *Stack) probeAll(ctx context.Context) (first error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(s.apps))
	for _, a := range s.apps {
		go func() {
			err := s.cfg.Probe(ctx, s.nats.url(), a.Name)
			if err != nil {
				err = fmt.Errorf("app %s: %w", a.Name, err)
			}
			ended <- err
		}()
	}
	for range s.apps {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// awaited describes the event that the probe waits for, and the likely reason for the delay.
func awaited(logs string) string {
	what := fmt.Sprintf("its first event, `%s` with key %s, to be applied", probeData, probeKey)
	if warning := lastWarning(logs); warning != "" {
		what += "; the workers' last warning: " + warning
	}
	return what
}

// lastWarning returns the last warning or error in the workers' logs, "" if there is none.
func lastWarning(logs string) (last string) {
	files, _ := filepath.Glob(filepath.Join(logs, "*"+stackfile.RoleWorker+"-*.log"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				last = max(last, strings.TrimSpace(line)) // lines begin with the time
			}
		}
	}
	return last
}

// The first event of a stack. It stays in the log and in the store like any other, and any handler that reads JSON takes it.
const (
	probeKey  = "stack-ready"
	probeData = "{}"
)

// Probe sends one event and returns when its receipt arrives: the event has been applied and committed.
func Probe(ctx context.Context, natsURL, app string) error {
	nc, err := nats.Connect(natsURL, nats.Name("local ready"))
	if err != nil {
		return err
	}
	defer nc.Close()
	receipt := make(chan struct{}, 1)
	p, err := publish.New(nc, publish.Config{App: app, OnReceipt: func(uint64) { receipt <- struct{}{} }})
	if err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = p.Stop(ctx) }()
	handle, err := p.Publish(ctx, publish.Event{Key: probeKey, Data: []byte(probeData), Receipt: true, Tag: 1})
	if err != nil {
		return err
	}
	select {
	case <-handle.Done():
		if err := handle.Err(); err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-receipt:
		return nil
	case <-ctx.Done():
		return errors.New("the event was stored but not applied")
	}
}
