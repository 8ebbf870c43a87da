package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"example.com/lockstep/pkg/publish"
)

// probesPerShard is how many events of other keys go through before a round, so that each shard has seen some.
const probesPerShard = 16

// probeTime is how long they may take.
const probeTime = 30 * time.Second

var lockstepPromise = promise{
	order:    "by key",
	effects:  "once: position, deduplication and effects are one commit that only the shard's owner can make",
	failover: "automatic, well under a second",
	durable:  "JetStream, file storage; effects: Redis, AOF every second, and replayed from the log if Redis loses some",
}

var lockstepPeer = peer{
	name:    "lockstep",
	title:   "Lockstep",
	matrix:  true,
	run:     lockstepLoad,
	effect:  true,
	ordered: true,
	promise: lockstepPromise,
	settings: `One router and the workers as processes of their own, with the defaults of ` + "`go tool task up`" + `; ` + "`producer load`" + `: one
publisher that calls SendAsync and gathers events into frames by itself. Its report verifies every key.`,
}

// lockstepLoad runs the producer's own load.
func lockstepLoad(ctx context.Context, r *round) (result, error) {
	d, err := r.deploy(ctx)
	if err != nil {
		return result{}, err
	}
	defer d.stop()
	out := filepath.Join(r.servers.dir, r.id+".json")
	cmd := exec.CommandContext(ctx, filepath.Join(r.servers.bin, "producer"), "load", "--nats="+r.servers.nats, "--app="+r.id, "--out="+out,
		"--duration="+r.duration.String(), "--keys="+strconv.Itoa(r.keys), "--size="+strconv.Itoa(r.size))
	cmd.SysProcAttr = attributes()
	if msg, err := cmd.CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("load: %w: %s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return result{}, err
	}
	var report struct {
		PerSecond float64 `json:"applied_per_second"`
		Verdict   string  `json:"verdict"`
	}
	if err := json.Unmarshal(b, &report); err != nil {
		return result{}, fmt.Errorf("read the load's report: %w", err)
	}
	if report.Verdict != "pass" {
		return result{}, fmt.Errorf("the load's verdict is %q: %s", report.Verdict, b)
	}
	return result{perSecond: report.PerSecond}, nil
}

// deployment is a router and workers of one app.
type deployment struct {
	round  *round
	client http.Client
	router *child
	// URL of the router's admin server.
	routerURL string
	// In the order started.
	workers []*child
}

// deploy starts them and returns when an event has gone through every shard.
func (r *round) deploy(ctx context.Context) (d *deployment, err error) {
	d = &deployment{round: r, client: http.Client{Timeout: time.Second}}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	admins, err := freePorts(1 + r.workers)
	if err != nil {
		return nil, err
	}
	d.routerURL = fmt.Sprintf("http://127.0.0.1:%d", admins[0])
	if d.router, err = d.start("router", "router", admins[0], "--shards="+strconv.Itoa(r.shards)); err != nil {
		return nil, err
	}
	if err := d.ready(ctx, d.router, admins[0]); err != nil {
		return nil, err
	}
	for i, admin := range admins[1:] {
		name := fmt.Sprintf("worker-%d", i+1)
		w, err := d.start("worker", name, admin, "--redis="+r.servers.redisAddr, "--name="+name)
		if err != nil {
			return nil, err
		}
		d.workers = append(d.workers, w)
	}
	for i, w := range d.workers {
		if err := d.ready(ctx, w, admins[1+i]); err != nil {
			return nil, err
		}
	}
	return d, d.probe(ctx)
}

func (d *deployment) start(program, name string, admin int, flags ...string) (*child, error) {
	r := d.round
	args := append([]string{"--app=" + r.id, "--nats=" + r.servers.nats, "--log-format=text", "--pprof", fmt.Sprintf("--admin=127.0.0.1:%d", admin)}, flags...)
	return startChild(filepath.Join(r.servers.dir, r.id+"-"+name+".log"), processorShare(), filepath.Join(r.servers.bin, program), args...)
}

// processorShare is the variable that gives a process the share that a local stack gives each of its processes.
func processorShare() []string {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	return []string{"GOMAXPROCS=" + strconv.Itoa(max(1, runtime.NumCPU()/4))}
}

func (d *deployment) ready(ctx context.Context, c *child, admin int) error {
	err := poll(ctx, readyTime, "not ready", c, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", admin), nil)
		if err != nil {
			return err
		}
		answer, err := d.client.Do(req)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w (%s)", filepath.Base(c.log), err, lastLines(c.log))
	}
	return nil
}

// probe sends events of keys that the round does not use, and returns when they are applied.
func (d *deployment) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	nc, err := d.round.servers.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	n := probesPerShard * d.round.shards
	applied := make(chan struct{}, n)
	p, err := publish.New(nc, publish.Config{App: d.round.id, OnReceipt: func(uint64) { applied <- struct{}{} }})
	if err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	for i := range n {
		if _, err := p.Publish(ctx, publish.Event{Key: fmt.Sprintf("probe-%d", i), Data: []byte("0"), Receipt: true}); err != nil {
			return errors.Join(fmt.Errorf("probe the shards: %w", err), p.Stop(ctx))
		}
	}
	for range n {
		select {
		case <-applied:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not all of %d probes were applied: %w", n, ctx.Err()), p.Stop(ctx))
		}
	}
	return p.Stop(ctx)
}

// stop ends the router first, so that nothing more is accepted.
func (d *deployment) stop() {
	if d.router != nil {
		d.router.stop()
	}
	for _, w := range d.workers {
		w.terminate()
	}
	for _, w := range d.workers {
		w.stop()
	}
	d.client.CloseIdleConnections()
}
