package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// steadyAfter is how long a load runs before its window begins.
	steadyAfter = 2 * time.Second
	// sendMargin is how long it goes on after the window.
	sendMargin = time.Second
	// maxOffRate is how far from the rate asked for a window may be, as a share of it.
	maxOffRate = 0.05
	// ticksPerSecond is the unit of /proc/<pid>/stat, the same on every architecture that Go runs on.
	ticksPerSecond = 100
)

// setup is what runs in a turn of the measure of CPU time.
type setup struct {
	title string
	bin   string // folder of the programs
	run   func(ctx context.Context, r *round, rate int) (*cost, error)
}

// cost is what one window came to.
type cost struct {
	perEvent map[string]float64 // by process: user and system time in microseconds
	p50, p99 float64            // ms from the intended send to the commit; 0 if not measured
}

// senderName is the process that is left out of the sum: an application has it in any case.
const senderName = "producer"

// sum is the time of all processes but the sender.
func (c *cost) sum() (all float64) {
	for name, us := range c.perEvent {
		if name != senderName {
			all += us
		}
	}
	return all
}

// measureCPU prints what an event costs each process at set rates, while nothing is saturated: of Lockstep, of Lockstep with the
// programs of c.Against, and of a raw pair. They take turns, each on servers of its own.
func (c *CLI) measureCPU(ctx context.Context, out io.Writer) error {
	setups := []setup{{"Lockstep", c.Bin, c.lockstepCost}, {"raw pair", c.Bin, c.rawCost}}
	if c.Against != "" {
		setups = slices.Insert(setups, 0, setup{"Lockstep of " + c.Against, c.Against, c.lockstepCost})
	}
	_, main := cells(c.Shards, c.Workers)
	for _, rate := range c.CPUAt {
		runs := make([][]*cost, len(setups))
		for n := range c.Rounds {
			for i, s := range setups {
				one, err := c.turn(ctx, s, main, rate)
				if err != nil {
					return fmt.Errorf("%s at %d/s: %w", s.title, rate, err)
				}
				runs[i] = append(runs[i], one)
				fmt.Fprintf(out, "%d/s, round %d, %s: %.1f us\n", rate, n+1, s.title, one.sum())
			}
		}
		fmt.Fprintf(out, "\n%d events/s, %d shards, %d workers, %d keys: CPU time in us an event, medians of %d rounds\n\n", rate, main.shards, main.workers,
			c.Keys, c.Rounds)
		printCosts(out, setups, runs)
	}
	return nil
}

func (c *CLI) turn(ctx context.Context, s setup, in cell, rate int) (*cost, error) {
	srv, err := startServers(ctx, s.bin, false)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	if srv.redisPID == 0 {
		return nil, errors.New("redis-server is not on PATH, so its CPU time cannot be told apart")
	}
	return s.run(ctx, srv.round(in, c.Keys, c.Size, c.Duration), rate)
}

var costColumns = []string{"nats-server", "router", "workers", "redis-server", "reader", senderName}

func printCosts(out io.Writer, setups []setup, runs [][]*cost) {
	of := func(runs []*cost, value func(*cost) float64) float64 {
		var v []float64
		for _, one := range runs {
			v = append(v, value(one))
		}
		return median(v)
	}
	fmt.Fprintf(out, "| | all but the sender | %s | p50 ms | p99 ms |\n|%s\n",
		strings.Join(costColumns, " | "), strings.Repeat("---|", len(costColumns)+4))
	for i, s := range setups {
		fmt.Fprintf(out, "| %s | %.1f", s.title, of(runs[i], (*cost).sum))
		for _, name := range costColumns {
			fmt.Fprintf(out, " | %.1f", of(runs[i], func(c *cost) float64 { return c.perEvent[name] }))
		}
		fmt.Fprintf(out, " | %.2f | %.2f |\n", of(runs[i], func(c *cost) float64 { return c.p50 }), of(runs[i], func(c *cost) float64 { return c.p99 }))
	}
	fmt.Fprintln(out)
}

// lockstepCost measures one router and the workers under the producer's own load.
func (c *CLI) lockstepCost(ctx context.Context, r *round, rate int) (*cost, error) {
	d, err := r.deploy(ctx)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	report := filepath.Join(r.servers.dir, r.id+".json")
	load, err := startChild(filepath.Join(r.servers.dir, r.id+"-load.log"), nil, filepath.Join(r.servers.bin, "producer"), "load",
		"--nats="+r.servers.nats, "--app="+r.id, "--out="+report, "--rate="+strconv.Itoa(rate),
		"--duration="+(steadyAfter+c.Duration+sendMargin).String(), "--keys="+strconv.Itoa(r.keys), "--size="+strconv.Itoa(r.size))
	if err != nil {
		return nil, err
	}
	defer load.stop()
	pids := map[string][]int{"router": {d.router.cmd.Process.Pid}, senderName: {load.cmd.Process.Pid}}
	for _, w := range d.workers {
		pids["workers"] = append(pids["workers"], w.cmd.Process.Pid)
	}
	one, err := r.window(ctx, pids, rate, load, d.routed)
	if err != nil {
		return nil, err
	}
	<-load.ended
	var said struct {
		Verdict string `json:"verdict"`
		Latency struct {
			Apply struct{ P50, P99 float64 } `json:"apply"`
		} `json:"latency_ms"`
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, errors.Join(load.err, err)
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, fmt.Errorf("read the load's report: %w", err)
	}
	if said.Verdict != "pass" {
		return nil, fmt.Errorf("the load's verdict is %q: %s", said.Verdict, text)
	}
	one.p50, one.p99 = said.Latency.Apply.P50, said.Latency.Apply.P99
	return one, nil
}

// routed returns how many events the router has taken.
func (d *deployment) routed(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.routerURL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if strings.Contains(name, "_router_events_total") {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(errors.New("the router's metrics lack its events"), lines.Err())
}

// window measures what an event costs the processes and the servers, when a load is under way. sent counts its events.
func (r *round) window(ctx context.Context, pids map[string][]int, rate int, load *child, sent func(context.Context) (float64, error)) (*cost, error) {
	pids["nats-server"] = []int{r.servers.local.cmd.Process.Pid}
	pids["redis-server"] = []int{r.servers.redisPID}
	before, err := sent(ctx)
	if err != nil {
		return nil, err
	}
	steady := before + float64(rate)*steadyAfter.Seconds()
	if err := poll(ctx, readyTime, "the load does not run", load, func(ctx context.Context) error {
		n, err := sent(ctx)
		if err == nil && n < steady {
			err = fmt.Errorf("%.0f events of %.0f so far", n, steady)
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, lastLines(load.log))
	}
	begun := time.Now()
	first, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	if before, err = sent(ctx); err != nil {
		return nil, err
	}
	select {
	case <-time.After(r.duration):
	case <-load.ended:
		return nil, fmt.Errorf("the load ended early: %w (%s)", errors.Join(load.err), lastLines(load.log))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	last, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	after, err := sent(ctx)
	if err != nil {
		return nil, err
	}
	events := after - before
	if wanted := float64(rate) * time.Since(begun).Seconds(); events < wanted*(1-maxOffRate) || events > wanted*(1+maxOffRate) {
		return nil, fmt.Errorf("%.0f events in a window for %.0f: this machine is too busy for the rate", events, wanted)
	}
	one := &cost{perEvent: make(map[string]float64)}
	for name := range pids {
		one.perEvent[name] = float64((last[name] - first[name]).Microseconds()) / events
	}
	return one, nil
}

// cpuTimes returns the user and system time of processes so far.
func cpuTimes(pids map[string][]int) (map[string]time.Duration, error) {
	times := make(map[string]time.Duration)
	for name, all := range pids {
		for _, pid := range all {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				return nil, fmt.Errorf("CPU time of %s: %w", name, err)
			}
			ticks, err := cpuTicks(string(text))
			if err != nil {
				return nil, fmt.Errorf("CPU time of %s: %w", name, err)
			}
			times[name] += time.Duration(ticks) * time.Second / ticksPerSecond
		}
	}
	return times, nil
}

// cpuTicks reads the fields utime and stime of a /proc/<pid>/stat. The second field, a program's name, may hold anything.
func cpuTicks(stat string) (ticks int, err error) {
	const utime, stime = 11, 12 // after the name
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, fmt.Errorf("cannot read %q", stat)
	}
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("cannot read %q: %w", stat, err)
		}
		ticks += n
	}
	return ticks, nil
}
