// Command bench compares Lockstep with raw JetStream, in one sitting: rounds of both take turns against one stack's
// nats-server and redis-server, and what counts is the ratio of the two halves of a round.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/lockstep/pkg/service"
)

func main() {
	var cli CLI
	os.Exit(service.Main("bench", "Lockstep and raw JetStream side by side.", &cli, os.Args[1:]))
}

// CLI is the bench's configuration.
type CLI struct {
	Bin          string        `default:"bin" type:"existingdir" help:"Folder of the built programs."`
	Rounds       int           `default:"5" help:"Rounds of each."`
	Duration     time.Duration `default:"5s" help:"Of each half of a round."`
	Shards       int           `default:"16" help:"Shards, and subjects of raw JetStream."`
	Workers      int           `default:"2" help:"Workers."`
	Keys         int           `default:"10000" help:"Keys."`
	Distribution string        `default:"uniform" help:"How Lockstep's events spread over the keys: uniform, sequential, zipf:S or hot:P:N, as the producer's load says."`
	Size         int           `default:"128" help:"Bytes of a payload."`
}

// Validate checks what the flags' types do not.
func (c *CLI) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"rounds", c.Rounds}, {"shards", c.Shards}, {"workers", c.Workers}, {"keys", c.Keys}, {"size", c.Size}} {
		if f.value < 1 {
			return fmt.Errorf("--%s=%d: must be at least 1", f.name, f.value)
		}
	}
	if c.Distribution == "" { // the producer refuses all else that is wrong
		return errors.New("--distribution is empty: want uniform, sequential, zipf:S or hot:P:N")
	}
	if c.Duration < 100*time.Millisecond {
		return fmt.Errorf("--duration=%s: must be at least 100ms", c.Duration)
	}
	return nil
}

// Run runs the rounds and prints a table.
func (c *CLI) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	st, err := startStack(ctx, c)
	if err != nil {
		return err
	}
	defer st.stop()
	fmt.Printf("%d rounds of %s each, %d subjects, %d workers, %d keys (%s), payloads of %d bytes\n\n", c.Rounds, c.Duration, c.Shards, c.Workers, c.Keys, c.Distribution, c.Size)
	fmt.Printf("%8s %16s %16s %8s\n", "round", "raw JetStream/s", "Lockstep/s", "ratio")
	var raw, ours, ratios []float64
	for round := range c.Rounds {
		r, err := rawJetStream(ctx, st.nats, c)
		if err != nil {
			return fmt.Errorf("raw JetStream: %w", err)
		}
		l, err := st.load(ctx, c)
		if err != nil {
			return fmt.Errorf("lockstep: %w", err)
		}
		raw, ours, ratios = append(raw, r), append(ours, l), append(ratios, l/r)
		fmt.Printf("%8d %16.0f %16.0f %8.2f\n", round+1, r, l, l/r)
	}
	fmt.Printf("%8s %16.0f %16.0f %8.2f\n", "median", median(raw), median(ours), median(ratios))
	fmt.Printf("%8s %16s %16s %8s\n", "spread", spread(raw), spread(ours), spread(ratios))
	return nil
}
