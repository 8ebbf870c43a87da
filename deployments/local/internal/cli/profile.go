package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/stackfile"
)

type profile struct {
	Target   target        `embed:""`
	Out      string        `default:"profiles" help:"Directory for the profiles."`
	Duration time.Duration `default:"10s" help:"How long to profile; the load lasts a little longer."`
}

const (
	profileWarmUp = time.Second     // load before the profiles begin
	profileSlack  = 3 * time.Second // load after the CPU profiles end
)

// Validate checks what the flags' types do not.
func (c *profile) Validate() error {
	if c.Duration < time.Second || c.Duration > service.MaxProfile {
		return fmt.Errorf("--duration=%s: must be from 1s to %s", c.Duration, service.MaxProfile)
	}
	return nil
}

// Run loads a running stack and meanwhile collects profiles of every service and of the producer.
func (c *profile) Run(e *environment) error {
	f, producer, err := c.Target.producer()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory for the profiles: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	load := exec.CommandContext(ctx, producer, append(c.Target.flags(), "--pprof="+c.Out,
		"--out="+filepath.Join(c.Out, "report.json"), "--duration="+(profileWarmUp+c.Duration+profileSlack).String())...)
	load.Stdout, load.Stderr = e.Out, io.Discard
	if err := load.Start(); err != nil {
		return fmt.Errorf("cannot start the load: %w", err)
	}
	time.Sleep(profileWarmUp)
	var g errgroup.Group
	for _, p := range f.Processes {
		if p.Admin != "" {
			g.Go(func() error { return c.collect(ctx, p) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := load.Wait(); err != nil {
		return fmt.Errorf("the load failed: %w", err)
	}
	example := service.ShellQuote(filepath.Join(c.Out, "router-1.cpu.pprof"))
	fmt.Fprintf(e.Out, "the profiles are in %s; for example: go tool pprof -top %s\n", c.Out, example)
	return nil
}

// collect fetches a process's profiles, that of the CPU first.
func (c *profile) collect(ctx context.Context, p stackfile.Process) error {
	for _, what := range []struct{ name, path string }{
		{"cpu", fmt.Sprintf("profile?seconds=%d", int(c.Duration.Seconds()))},
		{"allocs", "allocs"},
		{"mutex", "mutex"},
	} {
		url := fmt.Sprintf("http://%s/debug/pprof/%s", p.Admin, what.path)
		if err := fetch(ctx, url, filepath.Join(c.Out, p.Name+"."+what.name+".pprof")); err != nil {
			return fmt.Errorf("profile %s: %w", p.Name, err)
		}
	}
	return nil
}

func fetch(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %s: does the service run with --pprof?", url, res.Status)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, res.Body); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
