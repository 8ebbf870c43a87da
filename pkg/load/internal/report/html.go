package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

// mostRows is how many rows a table of the page has; the others are in report.json.
const mostRows = 200

// page is what page.html is filled with.
type page struct {
	Report
	CSS        template.CSS
	Headline   string // the verdict in large letters
	Words      string // and in a sentence
	Violations rows[string]
	Short      rows[ShortShard]
	Lacking    rows[string] // keys of which events were dropped
	Thresholds rows[Threshold]
	Figures    []figure
	Latencies  []latencyRow
	Trials     rows[Trial]
	Settings   []setting
	Charts     []picture
	LongPauses []Pause
	Changes    rows[Owner]
	Happened   rows[happening]
}

// happening is an annotation with its number.
type happening struct {
	N int
	Annotation
}

// rows are the first rows of a table.
type rows[T any] struct {
	Shown []T
	More  int // that are not shown
}

func firstOf[T any](all []T) rows[T] {
	n := min(len(all), mostRows)
	return rows[T]{Shown: all[:n], More: len(all) - n}
}

// WriteHTML writes the report as a page for people: one file that refers to
// nothing outside itself.
func (r Report) WriteHTML(w io.Writer) error {
	charts, err := r.charts()
	if err != nil {
		return err
	}
	p := page{
		Report:     r,
		CSS:        template.CSS(pageCSS),
		Violations: firstOf(r.Violations),
		Short:      firstOf(r.UnfinishedShards),
		Lacking:    firstOf(r.Drops),
		Thresholds: firstOf(r.Thresholds),
		Figures:    r.figures(),
		Latencies:  r.latencies(),
		Settings:   r.Config.settings(),
		Charts:     charts,
		LongPauses: longest(r.Pauses.Longest, 10),
		Changes:    firstOf(r.Owners),
	}
	var happened []happening
	for i, a := range r.Annotations {
		happened = append(happened, happening{i + 1, a})
	}
	p.Happened = firstOf(happened)
	if r.FindMax != nil {
		p.Trials = firstOf(r.FindMax.Trials)
	}
	p.Headline, p.Words = r.verdictInWords()
	t, err := template.New("report").Funcs(template.FuncMap{
		"count": count, "ms": milliseconds, "rate": rate, "sec": inSeconds, "number": number,
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("the report's page: %w", err)
	}
	return t.Execute(w, p)
}

// verdictInWords says the verdict in large letters and in a sentence.
func (r Report) verdictInWords() (headline, words string) {
	crossed := 0
	for _, t := range r.Thresholds {
		if !t.Held {
			crossed++
		}
	}
	right := "Every event was applied once and in the order sent"
	if r.Dropped > 0 {
		right = fmt.Sprintf("Every event was applied once and in the order sent, but for %s that were dropped, by a handler or an operator", several(int(r.Dropped), "event"))
	}
	switch r.Verdict {
	case Pass:
		if len(r.Thresholds) > 0 {
			right += ", and every threshold held"
		}
		return "Pass", right + "."
	case Crossed:
		return "Thresholds crossed", fmt.Sprintf("%s, but %d of %s did not hold.", right, crossed, several(len(r.Thresholds), "threshold"))
	case Unfinished:
		return "Unfinished", fmt.Sprintf("Nothing is wrong so far, but %s acknowledged events were not applied yet when the load gave up waiting: their shards, listed below, had not reached the log's end.", count(r.Unfinished))
	case Fail:
		return "Fail", fmt.Sprintf("The load did not come out right: %s, listed below.", several(len(r.Violations), "violation"))
	}
	return r.Verdict, ""
}
