package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/topology"
)

const (
	askEvery   = 25 * time.Millisecond
	askTimeout = 2 * time.Second
)

// await calls ask until it succeeds. It returns an error with ask's last one when ctx ends, or when a child cannot be started.
func (s *Stack) await(ctx context.Context, name string, ask func(context.Context) error) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, askTimeout)
		last := ask(once)
		cancel()
		if last == nil {
			return nil
		}
		select {
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%v): %w", name, last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (s *Stack) awaitReady(ctx context.Context, c *child) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return s.await(ctx, c.name, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address()+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return errors.New("admin port does not answer")
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		if response.StatusCode != http.StatusOK {
			return errors.New(strings.Join(strings.Fields(string(body)), " "))
		}
		return nil
	})
}

// Epoch returns the current epoch of the stack's topology, which may be older than the configuration.
func (s *Stack) Epoch(ctx context.Context) (topology.Epoch, error) {
	nc, err := nats.Connect(s.nats.url(), nats.Name("local topology"))
	if err != nil {
		return topology.Epoch{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return topology.Epoch{}, err
	}
	t, err := topology.Load(ctx, js, s.cfg.App)
	if err != nil {
		return topology.Epoch{}, err
	}
	return t.Current(), nil
}

// The first event of a stack. It stays in the log and in the store like any other, and any handler that reads JSON takes it.
const (
	probeKey  = "lockstep-ready"
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
	defer p.Stop(ctx)
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
