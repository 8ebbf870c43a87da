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
