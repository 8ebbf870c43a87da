package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// row is what a peer came to in a cell.
type row struct {
	peer *peer
	cell cell
	runs []result
	none string // why there are none
}

func (r row) rates() (all []float64) {
	for _, run := range r.runs {
		all = append(all, run.perSecond)
	}
	return all
}

// plan returns the rows of a sitting: every peer in the main cell, and some of them in all.
func plan(chosen []*peer, cells []cell, main cell) (rows []*row) {
	for _, p := range chosen {
		rows = append(rows, &row{peer: p, cell: main})
	}
	for _, c := range cells {
		for _, p := range chosen {
			if p.matrix && c != main {
				rows = append(rows, &row{peer: p, cell: c})
			}
		}
	}
	return rows
}

// cells returns the matrix, and the cell in which every peer runs: the smallest number of shards, and two workers if that is
// among the numbers to try.
func cells(shards, workers []int) (all []cell, main cell) {
	for _, s := range shards {
		for _, w := range workers {
			all = append(all, cell{s, w})
		}
	}
	main = cell{slices.Min(shards), workers[0]}
	if slices.Contains(workers, usualWorkers) {
		main.workers = usualWorkers
	}
	return all, main
}

// usualWorkers is what a local stack has.
const usualWorkers = 2

// sitting runs the rows' rounds in turns.
type sitting struct {
	cli     *CLI
	servers *servers
	rows    []*row
	out     io.Writer
}

// run runs all rounds: every row once, then every row again, so that what changes on the machine meanwhile meets all alike.
func (s *sitting) run(ctx context.Context) error {
	for n := range s.cli.Rounds {
		fmt.Fprintf(s.out, "round %d of %d\n", n+1, s.cli.Rounds)
		for _, r := range s.rows {
			if r.none != "" {
				continue
			}
			res, err := s.turn(ctx, r)
			if ctx.Err() != nil {
				return fmt.Errorf("stopped: %w", context.Cause(ctx))
			}
			if err != nil {
				return fmt.Errorf("%s, %d shards, %d workers: %w", r.peer.name, r.cell.shards, r.cell.workers, err)
			}
			r.runs = append(r.runs, res)
			fmt.Fprintf(s.out, "  %-18s %4d shards %2d workers %9.0f/s\n", r.peer.name, r.cell.shards, r.cell.workers, res.perSecond)
		}
	}
	return nil
}

func (s *sitting) turn(ctx context.Context, r *row) (res result, err error) {
	turn := s.servers.round(r.cell, s.cli.Keys, s.cli.Size, s.cli.Duration)
	defer func() {
		if swept := s.servers.sweep(ctx, turn); err == nil {
			err = swept
		}
	}()
	res, err = r.peer.run(ctx, turn)
	if err != nil {
		return res, err
	}
	return res, res.tally.judge(r.peer.ordered)
}
