// Package status asks a running stack what it is doing and lays the answer out for people.
package status

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/topology"
)

// waitForWorkers is how long workers may take to answer.
const waitForWorkers = 500 * time.Millisecond

// Report is what a stack is doing at one moment.
type Report struct {
	App       string
	Epoch     topology.Epoch
	Positions []query.Position // by shard
	Ends      []uint64         // last stream sequence of each shard of the epoch
	Workers   []query.Worker
}

// Ask asks the app behind a NATS URL.
func Ask(ctx context.Context, natsURL, app string) (Report, error) {
	nc, err := nats.Connect(natsURL, nats.Name("local status"))
	if err != nil {
		return Report{}, fmt.Errorf("cannot reach NATS at %s: %w", service.Mask(natsURL), err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return Report{}, err
	}
	t, err := topology.Load(ctx, js, app)
	if err != nil {
		return Report{}, fmt.Errorf("read the topology: %w", err)
	}
	r := Report{App: app, Epoch: t.Current()}
	if r.Ends, err = topology.Ends(ctx, js, app, r.Epoch); err != nil {
		return Report{}, fmt.Errorf("read the log's ends: %w", err)
	}
	client := query.NewClient(nc, app)
	if r.Workers, err = client.Status(ctx, waitForWorkers); err != nil {
		return Report{}, fmt.Errorf("ask the workers: %w", err)
	}
	if r.Positions, err = client.Positions(ctx); err != nil {
		return Report{}, fmt.Errorf("read the positions: %w", err)
	}
	return r, nil
}

// Print lays the report out: a line for each shard, then one for each worker.
func (r Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "app %s, epoch %d: %s on %s\n\n", r.App, r.Epoch.Epoch, count(r.Epoch.Shards, "shard"), count(r.Epoch.Lanes, "lane"))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "shard\towner\tfence\tposition\tlag\tstate")
	owned := r.owned()
	for _, p := range slices.SortedFunc(slices.Values(r.Positions), func(a, b query.Position) int { return cmp.Compare(a.Shard, b.Shard) }) {
		row := owned[p.Shard]
		if row.owner == "" {
			row = ownership{owner: "-", ShardStatus: query.ShardStatus{Fence: p.Fence, State: "nobody owns it"}}
		}
		fmt.Fprintf(table, "%d\t%s\t%d\t%d:%d\t%s\t%s\n", p.Shard, row.owner, row.Fence, p.Epoch, p.Seq, r.lag(p, row), row.State)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "\nmember\tshards\tid\tintake")
	for _, w := range slices.SortedFunc(slices.Values(r.Workers), func(a, b query.Worker) int { return cmp.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", w.Name, len(w.Shards), w.ID, intake(w))
	}
	return table.Flush()
}

// intake is whether a worker takes new events.
func intake(w query.Worker) string {
	if w.PausedMS > 0 {
		return fmt.Sprintf("paused for %s more", time.Duration(w.PausedMS)*time.Millisecond)
	}
	return "open"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type ownership struct {
	query.ShardStatus
	owner string
}

// owned says who owns each shard. While one changes hands two may claim it: the higher fence counts.
func (r Report) owned() map[int]ownership {
	owned := map[int]ownership{}
	for _, w := range r.Workers {
		for _, s := range w.Shards {
			if known, found := owned[s.Shard]; !found || s.Fence > known.Fence {
				owned[s.Shard] = ownership{ShardStatus: s, owner: cmp.Or(w.Name, w.ID)}
			}
		}
	}
	return owned
}

// lag is how many messages of the log the shard has yet to apply. Only its owner can count them: the sequences between
// belong to other shards as well. While it is paused it does not.
func (r Report) lag(p query.Position, row ownership) string {
	if row.owner != "-" && row.State != query.StatePaused {
		return strconv.FormatUint(row.Lag, 10)
	}
	if p.Epoch == r.Epoch.Epoch && p.Shard < len(r.Ends) && p.Seq >= r.Ends[p.Shard] {
		return "0"
	}
	return "?"
}
