// Package status asks a running stack for its shards and members and prints the answer as tables.
package status

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
)

// waitForWorkers is how long the workers may take to answer.
const waitForWorkers = 500 * time.Millisecond

// Report is the state of a stack at one moment. Faults tell what could not be read.
type Report struct {
	App       string
	Epoch     topology.Epoch   // zero if not known
	Positions []query.Position // by shard
	Ends      []uint64         // last stream sequence of each shard of the epoch; nil if not known
	Workers   []query.Worker
	Foreign   []topology.ForeignStream
	Faults    []error
}

// Ask asks the app at a NATS URL. It returns an error only if NATS cannot be reached: any other failure is one of the
// report's faults.
func Ask(ctx context.Context, natsURL, app string) (Report, error) {
	nc, err := nats.Connect(natsURL, nats.Name("local status"))
	if err != nil {
		return Report{}, fmt.Errorf("cannot reach NATS at %s: %w", address.Mask(natsURL), err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return Report{}, err
	}
	r := Report{App: app}
	client := query.NewClient(nc, app)
	if t, err := topology.Load(ctx, js, app); err != nil {
		r.fault("read the topology", err)
	} else {
		r.Epoch = t.Current()
		r.Ends, err = topology.Ends(ctx, js, app, r.Epoch)
		r.fault("read the log's ends", err)
	}
	r.Workers, err = client.Status(ctx, waitForWorkers)
	r.fault("ask the workers", err)
	r.Positions, err = client.Positions(ctx)
	r.fault("read the positions", err)
	r.Foreign, err = topology.ForeignStreams(ctx, js, app)
	r.fault("look for foreign streams", err)
	return r, nil
}

func (r *Report) fault(doing string, err error) {
	if err != nil {
		r.Faults = append(r.Faults, fmt.Errorf("%s: %w", doing, err))
	}
}

// Print prints a line for each shard, each worker, each foreign stream and each fault.
func (r Report) Print(out io.Writer) error {
	if r.Epoch.Shards > 0 {
		fmt.Fprintf(out, "app %s, epoch %d: %s on %s\n\n", r.App, r.Epoch.Epoch, count(r.Epoch.Shards, "shard"), count(r.Epoch.Lanes, "lane"))
	} else {
		fmt.Fprintf(out, "app %s, whose topology is not known\n\n", r.App)
	}
	if r.paused() {
		fmt.Fprint(out, "every worker is paused: no shard takes new events\n\n")
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "shard\towner\tfence\tposition\tlag\tstate")
	for _, s := range r.shards() {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", s.Shard, s.owner, s.fence, s.position, s.lag, s.State)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "\nmember\tshards\tid\tnew events")
	for _, w := range slices.SortedFunc(slices.Values(r.Workers), func(a, b query.Worker) int { return cmp.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", w.Name, len(w.Shards), w.ID, newEvents(w))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	r.printAway(out)
	for i, f := range r.Foreign {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "warning: %s\n", f)
	}
	for i, f := range r.Faults {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "not known: %v\n", f)
	}
	return nil
}

// printAway prints why workers own no shards, once for all that say the same.
func (r Report) printAway(out io.Writer) {
	names := make(map[string][]string)
	for _, w := range r.Workers {
		if w.Away != "" {
			names[w.Away] = append(names[w.Away], cmp.Or(w.Name, w.ID))
		}
	}
	for i, why := range slices.Sorted(maps.Keys(names)) {
		if i == 0 {
			fmt.Fprintln(out)
		}
		slices.Sort(names[why])
		fmt.Fprintf(out, "warning: %s may own no shards: %s\n", strings.Join(names[why], ", "), why)
	}
}

// paused tells whether no worker takes new events.
func (r Report) paused() bool {
	return len(r.Workers) > 0 && !slices.ContainsFunc(r.Workers, func(w query.Worker) bool { return w.PausedMS == 0 })
}

// newEvents tells whether a worker takes new events.
func newEvents(w query.Worker) string {
	switch {
	case w.Away != "":
		return "none: it may own no shards"
	case w.PausedMS > 0:
		return fmt.Sprintf("paused for %s more by %s", time.Duration(w.PausedMS)*time.Millisecond, cmp.Or(w.PausedBy, "?"))
	}
	return "taken"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// row is a shard's line in the table; "?" stands for what is not known.
type row struct {
	query.ShardStatus
	owner, fence, position, lag string
}

// shards are the rows of all shards, of the epoch and of any that the workers or the store know.
func (r Report) shards() []row {
	owned := r.owned()
	known := make(map[int]*query.Position)
	for i := range r.Positions {
		known[r.Positions[i].Shard] = &r.Positions[i]
	}
	var rows []row
	for shard := range 1 + max(r.Epoch.Shards-1, largest(known), largest(owned)) {
		s, isOwned := owned[shard]
		p, isKnown := known[shard]
		s.Shard = shard
		if !isOwned {
			s.owner, s.State = "-", "nobody owns it"
			if len(r.Workers) == 0 {
				s.State = "?"
			}
		}
		switch {
		case isKnown && p.Error != "":
			s.State += "; " + p.Error
			fallthrough
		case !isKnown:
			s.fence, s.position, p = "?", "?", nil
			if isOwned {
				s.fence, s.position = strconv.FormatUint(s.Fence, 10), fmt.Sprintf("%d:%d", s.Epoch, s.Seq)
			}
		default:
			s.fence, s.position = strconv.FormatUint(cmp.Or(s.Fence, p.Fence), 10), fmt.Sprintf("%d:%d", p.Epoch, p.Seq)
		}
		s.lag = r.lag(p, s, isOwned)
		rows = append(rows, s)
	}
	return rows
}

func largest[V any](m map[int]V) int {
	out := -1
	for k := range m {
		out = max(out, k)
	}
	return out
}

// owned tells the owner of each shard. While a shard changes hands two workers may claim it: the higher fence counts.
func (r Report) owned() map[int]row {
	owned := map[int]row{}
	for _, w := range r.Workers {
		for _, s := range w.Shards {
			if known, found := owned[s.Shard]; !found || s.Fence > known.Fence {
				owned[s.Shard] = row{ShardStatus: s, owner: cmp.Or(w.Name, w.ID)}
			}
		}
	}
	return owned
}

// lag is how many messages of the log the shard has yet to apply. Only its owner can count them, since other shards share
// the sequences in between. A paused owner does not count.
func (r Report) lag(p *query.Position, s row, owned bool) string {
	if owned && s.State != query.StatePaused {
		return strconv.FormatUint(s.Lag, 10)
	}
	if p != nil && p.Epoch == r.Epoch.Epoch && p.Shard < len(r.Ends) && p.Seq >= r.Ends[p.Shard] {
		return "0"
	}
	return "?"
}
