package main

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed document.md.tmpl
var documentText string

// document is the result of a sitting.
type document struct {
	cli      *CLI
	rows     []*row
	main     cell
	date     time.Time
	machine  machine
	versions []version
}

// version is which release of a program or a library took part.
type version struct{ Name, Version string }

// render returns the document as Markdown.
func (d document) render() (string, error) {
	t, err := template.New("document").Parse(documentText)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{
		"Date": d.date.UTC().Format(time.DateOnly), "Machine": d.machine, "Versions": d.versions,
		"Rounds": d.cli.Rounds, "Duration": d.cli.Duration, "Keys": d.cli.Keys, "Size": d.cli.Size,
		"Outstanding": maxOutstanding, "Shards": d.main.shards, "Workers": d.main.workers,
		"Table": d.table(), "Matrix": d.matrix(), "Settings": d.settings(),
	})
	return b.String(), err
}

// table is what all peers came to in the main cell, each with what it promises.
func (d document) table() string {
	out := [][]string{{"peer", "events/s, median", "spread", "order of a key's events", "effects", "when a worker dies", "durable in"}}
	for _, r := range d.rows {
		if r.cell != d.main {
			continue
		}
		p := r.peer.promise
		out = append(out, []string{r.peer.title, r.rate(), r.spread(), p.order + r.disorder(), p.effects, p.failover, p.durable})
	}
	return markdown(out)
}

// matrix is what those peers came to that ran in every cell: a line for each number of shards, a column for each number of
// workers. It is empty if there is but one cell.
func (d document) matrix() string {
	if len(d.cli.Shards)*len(d.cli.Workers) < 2 {
		return ""
	}
	header := []string{"peer", "shards"}
	for _, w := range d.cli.Workers {
		header = append(header, plural(w, "worker"))
	}
	out := [][]string{header}
	for _, r := range d.rows {
		if !r.peer.matrix || r.cell != d.main {
			continue
		}
		for _, s := range d.cli.Shards {
			line := []string{r.peer.title, strconv.Itoa(s)}
			for _, w := range d.cli.Workers {
				line = append(line, d.cellOf(r.peer, cell{s, w}))
			}
			out = append(out, line)
		}
	}
	return markdown(out)
}

func (d document) cellOf(p *peer, c cell) string {
	i := slices.IndexFunc(d.rows, func(r *row) bool { return r.peer == p && r.cell == c })
	if i < 0 {
		return "not run"
	}
	r := d.rows[i]
	if len(r.runs) == 0 {
		return r.rate()
	}
	return fmt.Sprintf("%s (%s)", r.rate(), r.spread())
}

// settings is how each peer was set up.
func (d document) settings() string {
	var b strings.Builder
	for _, r := range d.rows {
		if r.cell == d.main {
			fmt.Fprintf(&b, "**%s** (`--only=%s`). %s\n\n", r.peer.title, r.peer.name, r.peer.settings)
		}
	}
	return strings.TrimSpace(b.String())
}

func (r *row) rate() string {
	if len(r.runs) == 0 {
		return r.none
	}
	return thousands(median(r.rates()))
}

func (r *row) spread() string {
	if len(r.runs) == 0 {
		return ""
	}
	return spread(r.rates())
}

// disorder says how many keys' events were applied in another order than sent, where that may happen.
func (r *row) disorder() string {
	if r.peer.ordered || !r.peer.effect || len(r.runs) == 0 {
		return ""
	}
	var keys []float64
	for _, run := range r.runs {
		keys = append(keys, float64(run.tally.reordered))
	}
	return fmt.Sprintf(" (%s keys out of order in the median round)", thousands(median(keys)))
}

// thousands writes a rate: three digits count.
func thousands(v float64) string {
	unit := 1.0
	for v/unit >= 1000 {
		unit *= 10
	}
	digits := strconv.FormatFloat(math.Round(v/unit)*unit, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// markdown draws a table whose first line is its header.
func markdown(lines [][]string) string {
	var b strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(line)) + "|\n")
		}
	}
	return strings.TrimSpace(b.String())
}
