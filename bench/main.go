// Command bench compares Lockstep with its peers, in one sitting: rounds of all take turns against one nats-server and one
// redis-server, and the result is one document.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/topology"
)

func main() {
	runtime.LockOSThread() // children are started from here, and end with their parent thread
	var cli CLI
	os.Exit(service.Main("bench", "Lockstep and its peers side by side.", &cli, os.Args[1:]))
}

// CLI is the bench's configuration.
type CLI struct {
	Bin      string        `default:"bin" type:"existingdir" help:"Folder of the built programs."`
	Out      string        `default:"docs/benchmarks.md" help:"Where to write the result."`
	Rounds   int           `default:"5" help:"Rounds of each."`
	Duration time.Duration `default:"2s" help:"How long each sends in a round; it lasts until the last effect."`
	Shards   []int         `default:"16,64,256" help:"Numbers of shards to try."`
	Workers  []int         `default:"1,2,4" help:"Numbers of workers to try."`
	Only     []string      `help:"Peers to run: raw, textbook, textbook-ordered, watermill, batches, streams, rabbitmq, lockstep-frames, lockstep-send, lockstep. Default: all."`
	Keys     int           `default:"10000" help:"Keys."`
	Size     int           `default:"128" help:"Bytes of a payload."`

	CPUAt     []int    `name:"cpu-at" placeholder:"RATE" help:"Instead: print the CPU time of an event at these rates a second, beside a raw pair of JetStream and Redis. --duration is that of a window."`
	Against   string   `type:"existingdir" help:"With --cpu-at: measure also the programs in this folder, say of an earlier release."`
	RawReader []string `hidden:""`
}

// Limits of what can be asked for.
const (
	minDuration = 100 * time.Millisecond
	maxWorkers  = 64
	maxSize     = 64 << 10
	maxKeys     = 1_000_000
	maxRate     = 1_000_000
)

// Validate checks what the flags' types do not.
func (c *CLI) Validate() error {
	within := func(name string, value, least, most int) error {
		if value < least || value > most {
			return fmt.Errorf("--%s=%d: must be from %d to %d", name, value, least, most)
		}
		return nil
	}
	each := func(name string, values []int, most int) error {
		if len(values) == 0 {
			return fmt.Errorf("--%s is empty: give a number, or several separated by commas", name)
		}
		for i, v := range values {
			if err := within(name, v, 1, most); err != nil {
				return err
			}
			if slices.Contains(values[:i], v) {
				return fmt.Errorf("--%s: %d is there twice: give it once", name, v)
			}
		}
		return nil
	}
	if c.Duration < minDuration {
		return fmt.Errorf("--duration=%s: must be at least %s", c.Duration, minDuration)
	}
	if c.Out == "" {
		return errors.New("--out is empty: name a file")
	}
	if _, err := choosePeers(c.Only); err != nil {
		return err
	}
	for _, rate := range c.CPUAt {
		if err := within("cpu-at", rate, 1, maxRate); err != nil {
			return err
		}
	}
	for _, err := range []error{
		within("rounds", c.Rounds, 1, 1000),
		each("shards", c.Shards, topology.MaxShards),
		each("workers", c.Workers, maxWorkers),
		within("keys", c.Keys, 1, maxKeys),
		within("size", c.Size, minSize, maxSize),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Run runs the rounds and writes the document.
func (c *CLI) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch {
	case len(c.RawReader) > 0:
		return runReader(ctx, c.RawReader)
	case len(c.CPUAt) > 0:
		return c.measureCPU(ctx, os.Stdout)
	}
	if err := os.MkdirAll(filepath.Dir(c.Out), 0o755); err != nil {
		return err
	}
	chosen, err := choosePeers(c.Only)
	if err != nil {
		return err
	}
	all, main := cells(c.Shards, c.Workers)
	rows := plan(chosen, all, main)
	srv, err := startServers(ctx, c.Bin, slices.Contains(chosen, &rabbitPeer))
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	defer srv.stop()
	for _, r := range rows {
		if r.peer == &rabbitPeer && srv.rabbit == nil {
			r.none = "rabbitmq-server not on PATH"
		}
	}
	s := &sitting{cli: c, servers: srv, rows: rows, out: os.Stdout}
	if err := s.run(ctx); err != nil {
		return err
	}
	doc := document{cli: c, rows: rows, main: main, date: time.Now(), machine: thisMachine(srv.dir), versions: srv.versions(ctx)}
	text, err := doc.render()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Println()
	fmt.Println(strings.TrimSpace(doc.table()))
	fmt.Printf("\nwritten to %s\n", c.Out)
	return nil
}
